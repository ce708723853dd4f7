"""Every encoder, temporal model and fusion gives on a CUDA device what it gives on the CPU.

Distances are relative: the norm of the difference over the norm of the CPU's result. Limits: with
TF32 off, rounding in another order through fifty layers; bfloat16 keeps 8 bits, so 0.4% a layer.
"""

from __future__ import annotations

import copy

import pytest
import torch

import videolit.encoders
from contracts import small_clip
from videolit.commands.bench_encoders import ENCODERS
from videolit.encoders import (
    AppearanceEncoder,
    HFSoundEncoder,
    HFVideoEncoder,
    SmallClipEncoder,
    SmallFrameEncoder,
    SoundEncoder,
    TimmFrameEncoder,
)
from videolit.encoders.hf_words import HFTextEncoder
from videolit.encoders.steps import encode_steps
from videolit.encoders.words import TextEncoder
from videolit.fusion import (
    BottleneckFusion,
    CrossmodalFusion,
    EarlyFusion,
    LateFusion,
    LinearFusion,
    Stream,
    TensorFusion,
)
from videolit.temporal import (
    CSTA,
    RNN,
    TCN,
    TRN,
    AttentionPool,
    FrameMLP,
    LocalTransformer,
    MaxPool,
    MeanPool,
    PGLSum,
    Transformer,
    VASNet,
)

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(120)]

FLOAT32, BFLOAT16, GRADIENT = 1e-4, 0.1, 1e-2


def distance(found, expected):
    """Norm of the difference over the norm of what was expected, in float64 on the CPU."""
    found, expected = (value.detach().cpu().double() for value in (found, expected))
    assert found.shape == expected.shape
    assert found.isfinite().all()
    return float((found - expected).norm() / expected.norm().clamp(min=1e-12))


def huggingface(architecture):
    pytest.importorskip("transformers")
    return HFVideoEncoder(
        architecture, clip_frames=4, image_size=32, hidden_size=48, num_layers=2, num_heads=2,
        patch_size=8,
    )  # fmt: skip


def timm_vit():
    pytest.importorskip("timm")
    return TimmFrameEncoder("test_vit", image_size=32)


OTHERS = {
    "appearance": AppearanceEncoder,
    "small_frame difference": lambda: SmallFrameEncoder(8, "difference"),
    "small_frame learned": lambda: SmallFrameEncoder(8, "learned"),
    "small_frame shift": lambda: SmallFrameEncoder(8, shift="both"),
    "small_clip both": lambda: SmallClipEncoder(8, "both"),
    "small_clip deviation": lambda: SmallClipEncoder(8, "deviation"),
    "timm": timm_vit,
    **{
        name: lambda name=name: huggingface(name)
        for name in ("videomae", "timesformer", "vivit", "vjepa2")
    },
}


def build(name):
    torch.manual_seed(0)
    if name in OTHERS:
        return OTHERS[name]()
    entry = ENCODERS[name]
    return getattr(videolit.encoders, entry.kind)(**entry.arguments)


def clips(encoder, seed=0):
    """Two clips of an encoder, and a mask that takes the second half of the second one away."""
    frames, size = small_clip(encoder)
    generator = torch.Generator().manual_seed(seed)
    video = torch.randint(0, 256, (2, frames, 3, size, size), generator=generator).byte()
    mask = torch.ones(2, frames, dtype=torch.bool)
    mask[1, frames // 2 :] = False
    return video, mask


@pytest.mark.parametrize("name", [*ENCODERS, *OTHERS])
def test_an_encoder_gives_what_it_gives_on_the_cpu(name, device, measured):
    encoder = build(name).eval()
    video, mask = clips(encoder)
    there = copy.deepcopy(encoder).to(device)
    features, real = encoder(video, mask)
    found, seen = there(video.to(device), mask.to(device))
    assert found.device.type == device.type
    assert torch.equal(seen.cpu(), real)
    measured("float32", distance(found[seen], features[real]), FLOAT32)
    whole = there((video / 255).to(device))[0]
    measured("float in [0, 1]", distance(whole[:1], features[:1]), FLOAT32)
    if any(True for _ in encoder.parameters()):
        for one, kept, at in ((encoder, features, real), (there, found, seen)):
            kept[at].square().mean().backward()
            assert all(p.grad.isfinite().all() for p in one.parameters() if p.grad is not None)
        ours, theirs = (
            torch.cat([p.grad.cpu().flatten() for p in one.parameters() if p.grad is not None])
            for one in (there, encoder)
        )
        measured("gradient", distance(ours, theirs), GRADIENT)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        half = there(video.to(device), mask.to(device))[0]
    measured("bfloat16", distance(half[seen], features[real]), BFLOAT16)


@pytest.mark.parametrize("name", ["resnet18", "slowfast_r50_4x16", "mvit_v2_s", "small_clip"])
def test_a_training_step_with_scaled_float16_is_finite(name, device):
    encoder = build(name).to(device).train()
    video, mask = clips(encoder)
    optimizer = torch.optim.SGD(encoder.parameters(), lr=1e-3)
    # Small: the first scale of Lightning's would overflow, which a scaler then skips.
    scaler = torch.amp.GradScaler(device.type, init_scale=16.0)
    with torch.autocast(device.type, torch.float16):
        loss = encoder(video.to(device), mask.to(device))[0].float().square().mean()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", [*ENCODERS, *OTHERS])
def test_two_backward_passes_are_equal_or_the_operation_is_named(name, device, record_property):
    """``--trainer.deterministic true``: PyTorch refuses what it cannot repeat, by its name."""
    encoder = build(name).to(device).eval()
    if not any(True for _ in encoder.parameters()):
        pytest.skip("nothing to train")
    video, mask = (value.to(device) for value in clips(encoder))
    torch.use_deterministic_algorithms(True)
    gradients = []
    try:
        for _ in range(2):
            encoder.zero_grad()
            encoder(video, mask)[0].square().mean().backward()
            gradients.append([p.grad.clone() for p in encoder.parameters() if p.grad is not None])
    except RuntimeError as problem:
        named = str(problem).splitlines()[0]
        record_property("not deterministic", named)
        assert "deterministic" in named
        return
    record_property("deterministic", "yes")
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


TEMPORAL = {
    "mean": lambda: MeanPool(24),
    "max": lambda: MaxPool(24),
    "attention": lambda: AttentionPool(24),
    "lstm": lambda: RNN(24, hidden_size=16, num_layers=2),
    "gru": lambda: RNN(24, "gru", hidden_size=16, bidirectional=False),
    "tcn": lambda: TCN(24, hidden_size=16),
    "causal tcn": lambda: TCN(24, hidden_size=16, causal=True),
    "trn": lambda: TRN(24, hidden_size=16),
    "transformer": lambda: Transformer(24, hidden_size=16),
    "windowed transformer": lambda: Transformer(24, hidden_size=16, window=3),
    "local transformer": lambda: LocalTransformer(24, hidden_size=16),
    "local without tokens": lambda: LocalTransformer(24, hidden_size=16, window=5, num_global=0),
    "frame mlp": lambda: FrameMLP(24, hidden_size=16),
    "vasnet": lambda: VASNet(24),
    "vasnet of Transformers": lambda: VASNet(24, transpose_attention=True, chunk=7),
    "pgl-sum": lambda: PGLSum(24, num_heads=4),
    "csta": lambda: CSTA(24),
}


@pytest.mark.parametrize("name", TEMPORAL)
def test_a_temporal_model_gives_what_it_gives_on_the_cpu(name, device, measured):
    torch.manual_seed(0)
    model = TEMPORAL[name]().eval()
    there = copy.deepcopy(model).to(device)
    features = torch.randn(3, 40, 24)
    mask = torch.arange(40) < torch.tensor([40, 23, 1])[:, None]
    # What stands at padding must not get out, whatever the kernel.
    features[~mask] = float("nan")
    results = []
    for one, place in ((model, "cpu"), (there, device)):
        given = features.clone().to(place).requires_grad_()
        real = mask.to(place)
        # cuDNN's recurrent networks have no gradient at rest; here nothing is dropped in training.
        one.train(isinstance(one, RNN))
        sequence = one(given, real)
        vector = one.pool(sequence, real)
        vector.square().sum().backward()
        results.append((sequence, vector, given.grad[real]))
    for part, ours, theirs in zip(
        ("sequence", "vector", "gradient"), *reversed(results), strict=True
    ):
        measured(part, distance(ours, theirs), GRADIENT if part == "gradient" else FLOAT32)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        real = mask.to(device)
        half = there.pool(there(features.to(device), real), real)
    measured("bfloat16", distance(half, results[0][1]), BFLOAT16)


def test_twenty_thousand_steps_on_the_device(device, measured, record_property):
    """Memory of local attention grows with the steps, not with their square."""
    torch.manual_seed(0)
    model = LocalTransformer(64, hidden_size=64).eval()
    there = copy.deepcopy(model).to(device)
    features = torch.randn(1, 20_000, 64)
    mask = torch.ones(1, 20_000, dtype=torch.bool)
    with torch.no_grad():
        expected = model(features, mask)
        measured(
            "float32", distance(there(features.to(device), mask.to(device)), expected), FLOAT32
        )
    if device.type != "cuda":
        pytest.skip("only CUDA tells its peak")
    for kind in ("scoring", "training"):
        peaks = []
        for steps in (10_000, 20_000):
            given, real = features[:, :steps].to(device), mask[:, :steps].to(device)
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            with torch.set_grad_enabled(kind == "training"):
                found = there(given, real)
            if kind == "training":
                found.square().mean().backward()
                there.zero_grad()
            peaks.append(torch.cuda.max_memory_allocated() - before)
            del found
        record_property(f"{kind}, MiB", [round(peak / 2**20, 1) for peak in peaks])
        assert 1.5 < peaks[1] / peaks[0] < 2.2, f"{kind}: {peaks} bytes"
        # Less than a matrix of all pairs, in float32 and of one head, would take by itself.
        assert peaks[1] < 4 * 20_000**2


SIZES = {"video": 6, "audio": 5, "text": 4}
FUSIONS = {
    "early": lambda: EarlyFusion(SIZES, 16, 5),
    "late": lambda: LateFusion(SIZES, 16),
    "linear": lambda: LinearFusion(SIZES),
    "bottleneck": lambda: BottleneckFusion(SIZES, 16, num_heads=2),
    "crossmodal": lambda: CrossmodalFusion(SIZES, 16, num_heads=2),
    "low rank": lambda: TensorFusion(SIZES, 16, 3, 5),
    "tensor": lambda: TensorFusion(SIZES, 16, None, 3),
}


def streams(device, chosen=tuple(SIZES)):
    drawn = torch.Generator().manual_seed(0)
    found = {}
    for name, width in SIZES.items():
        steps = 3 + width
        mask = torch.ones(3, steps, dtype=torch.bool)
        mask[1, steps // 2 :] = False
        # The third sample has no sound.
        mask[2] &= name != "audio"
        features = torch.randn(3, steps, width, generator=drawn)
        features[~mask] = float("nan")
        seconds = (torch.arange(steps) + 0.5).expand(3, -1).contiguous()
        if name in chosen:
            found[name] = Stream(*(value.to(device) for value in (features, mask, seconds)))
    return found


@pytest.mark.parametrize("name", FUSIONS)
@pytest.mark.parametrize("chosen", [("video", "audio", "text"), ("video", "text")], ids="+".join)
def test_a_fusion_gives_what_it_gives_on_the_cpu(name, chosen, device, measured):
    torch.manual_seed(0)
    model = FUSIONS[name]()
    for value in model.parameters():
        if not value.any():
            torch.nn.init.normal_(value, std=0.3)
    there = copy.deepcopy(model.eval()).to(device).eval()
    expected, found = model(streams("cpu", chosen)), there(streams(device, chosen))
    for part in ("vector", "parts", "weights"):
        measured(part, distance(getattr(found, part), getattr(expected, part)), FLOAT32)
    assert torch.equal(found.present.cpu(), expected.present)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        half = there(streams(device, chosen)).vector
    measured("bfloat16", distance(half, expected.vector), BFLOAT16)
    # Modalities are dropped on the device, by torch's own chance and by a generator of the CPU.
    there.train()
    for generator in (None, torch.Generator().manual_seed(1)):
        dropped = there(streams(device, chosen), generator)
        dropped.vector.square().sum().backward()
        assert dropped.vector.isfinite().all()
        torch.testing.assert_close(dropped.weights.sum(1).cpu(), torch.ones(3))


def wav2vec(architecture):
    pytest.importorskip("transformers")
    return HFSoundEncoder(architecture, hidden_size=32, num_layers=2, num_heads=2, conv_size=8)


SOUNDS = {
    "sound": lambda: SoundEncoder(hidden_size=16, num_layers=2, num_heads=2),
    **{
        name: lambda name=name: wav2vec(name)
        for name in ("wav2vec2", "hubert", "wavlm", "data2vec-audio")
    },
}


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_encoder_gives_what_it_gives_on_the_cpu(name, device, measured):
    torch.manual_seed(0)
    encoder = SOUNDS[name]().eval()
    there = copy.deepcopy(encoder).to(device)
    mask = torch.arange(8000) < torch.tensor([8000, 5321, 0])[:, None]
    samples = torch.where(mask, torch.rand(3, 8000) - 0.5, float("nan"))
    features, real, seconds = encoder(samples, mask)
    found, seen, times = there(samples.to(device), mask.to(device))
    assert torch.equal(seen.cpu(), real)
    torch.testing.assert_close(times.cpu(), seconds)
    measured("float32", distance(found, features), FLOAT32)
    found.square().mean().backward()
    assert all(p.grad.isfinite().all() for p in there.parameters() if p.grad is not None)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        half = there(samples.to(device), mask.to(device))[0]
    measured("bfloat16", distance(half, features), BFLOAT16)


def bert():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    return HFTextEncoder(None, 3, config.to_json_string(use_diff=False))


TEXTS = {
    "text": lambda: TextEncoder(30, hidden_size=8, num_layers=2, num_heads=2, num_context=2),
    "bert": bert,
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_encoder_gives_what_it_gives_on_the_cpu(name, device, measured):
    torch.manual_seed(0)
    encoder = TEXTS[name]().eval()
    there = copy.deepcopy(encoder).to(device)
    tokens = torch.randint(6, 30, (2, 10))
    tokens[0, 4] = 3
    mask = torch.arange(10) < torch.tensor([10, 6])[:, None]
    features, own = encoder(tokens, mask)
    found, seen = there(tokens.to(device), mask.to(device))
    assert torch.equal(seen.cpu(), own)
    measured("float32", distance(found, features), FLOAT32)
    there.train()(tokens.to(device), mask.to(device))[0].square().mean().backward()
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        half = there.eval()(tokens.to(device), mask.to(device))[0]
    measured("bfloat16", distance(half, features), BFLOAT16)


@pytest.mark.parametrize("name", ["resnet18", "x3d_xs", "small_clip"])
def test_steps_of_a_whole_video_are_those_of_the_cpu(name, device, measured):
    """Filled up clips, and features that are interpolated where the network shortens time."""
    encoder = build(name).eval()
    there = copy.deepcopy(encoder).to(device)
    _, size = small_clip(encoder)
    video = torch.randint(0, 256, (2, 11, 3, size, size), dtype=torch.uint8)
    mask = torch.arange(11) < torch.tensor([11, 6])[:, None]
    least = encoder.num_frames[0]
    with torch.no_grad():
        expected = encode_steps(encoder, video, mask, 4, least)
        found = encode_steps(there, video.to(device), mask.to(device), 4, least)
    measured("float32", distance(found[mask.to(device)], expected[mask]), FLOAT32)
