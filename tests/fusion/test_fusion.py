"""Fusion of modalities: any subset, any padding, and what each way of fusion can learn."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from contracts import twin
from videolit.fusion import (
    BottleneckFusion,
    CrossmodalFusion,
    EarlyFusion,
    LateFusion,
    LinearFusion,
    Stream,
    TensorFusion,
)
from videolit.fusion.base import second_waves
from videolit.fusion.early import resample
from videolit.types import InputError

SIZES = {"video": 6, "audio": 5, "text": 4}
STEPS = {"video": 4, "audio": 9, "text": 3}
KINDS = {
    "early": lambda sizes, **rest: EarlyFusion(sizes, 16, 5, **rest),
    "pooled": lambda sizes, **rest: EarlyFusion(sizes, 16, 1, **rest),
    "late": lambda sizes, **rest: LateFusion(sizes, 16, **rest),
    "linear": lambda sizes, **rest: LinearFusion(sizes, **rest),
    "bottleneck": lambda sizes, **rest: BottleneckFusion(sizes, 16, num_heads=2, **rest),
    "crossmodal": lambda sizes, **rest: CrossmodalFusion(sizes, 16, num_heads=2, **rest),
    "low rank": lambda sizes, **rest: TensorFusion(sizes, 16, 3, 5, **rest),
    "tensor": lambda sizes, **rest: TensorFusion(sizes, 16, None, 3, **rest),
}
SUBSETS = [chosen for size in (1, 2, 3) for chosen in itertools.combinations(SIZES, size)]


@pytest.fixture(params=KINDS)
def fusion(request):
    torch.manual_seed(0)
    model = KINDS[request.param](SIZES)
    # What begins at zero would hide what depends on it.
    for value in model.parameters():
        if not value.any():
            nn.init.normal_(value, std=0.3)
    return model.eval()


def test_weights_are_learnt_or_equal_as_the_fusion_says(fusion):
    with torch.no_grad():
        weights = fusion(batch()).weights
    equal = torch.full_like(weights, 1 / len(SIZES))
    assert torch.allclose(weights, equal) == (not fusion.has_weights)
    assert fusion.has_weights == isinstance(
        fusion, LateFusion | BottleneckFusion | CrossmodalFusion
    )


def batch(size=3, seed=0):
    drawn = torch.Generator().manual_seed(seed)
    streams = {}
    for name, width in SIZES.items():
        steps = STEPS[name]
        seconds = (torch.arange(steps) + 0.5).expand(size, -1) * 4 / steps
        mask = torch.ones(size, steps, dtype=torch.bool)
        # The second sample is shorter.
        mask[1, steps - 1 :] = False
        features = torch.randn(size, steps, width, generator=drawn)
        streams[name] = Stream(features, mask, seconds.contiguous())
    return streams


def padded(streams, more=3):
    return {
        name: Stream(
            nn.functional.pad(features, (0, 0, 0, more), value=float("nan")),
            nn.functional.pad(mask, (0, more)),
            nn.functional.pad(seconds, (0, more), value=1e6),
        )
        for name, (features, mask, seconds) in streams.items()
    }


def test_contract(fusion):
    found = fusion(batch())
    size = 6 if isinstance(fusion, LinearFusion) else 16
    assert found.vector.shape == (3, size)
    assert found.parts.shape == (3, 3, size)
    assert found.weights.shape == found.present.shape == (3, 3)
    assert found.present.all()
    torch.testing.assert_close(found.weights.sum(1), torch.ones(3))
    assert all(value.isfinite().all() for value in found)
    assert fusion.num_features == size
    assert fusion.names == ("video", "audio", "text")


def test_padding_changes_nothing(fusion):
    for one, other in zip(fusion(batch()), fusion(padded(batch())), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize("chosen", SUBSETS, ids="+".join)
def test_every_subset_is_finite_and_the_same_by_name_and_by_mask(fusion, chosen):
    streams = batch()
    by_name = fusion({name: streams[name] for name in chosen})
    by_mask = fusion(
        {
            name: stream if name in chosen else stream._replace(mask=stream.mask & False)
            for name, stream in streams.items()
        }
    )
    for one, other in zip(by_name, by_mask, strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    here = torch.tensor([name in chosen for name in SIZES])
    assert (by_name.present == here).all()
    assert (by_name.weights[:, ~here] == 0).all()
    torch.testing.assert_close(by_name.weights.sum(1), torch.ones(3))


def test_half_precision_takes_what_no_sample_has(fusion):
    fusion.bfloat16()
    streams = {
        name: stream._replace(features=stream.features.bfloat16())
        for name, stream in batch().items()
        if name != "audio"
    }
    assert all(value.isfinite().all() for value in fusion(streams))


def test_no_sample_sees_another_ones_gap(fusion):
    streams = batch()
    whole = fusion(streams)
    streams["audio"].mask[2] = False
    lacking = fusion(streams)
    torch.testing.assert_close(lacking.vector[:2], whole.vector[:2], atol=1e-5, rtol=0)
    assert (lacking.vector[2] - whole.vector[2]).abs().max() > 1e-3
    # What a modality says by itself does not depend on the others.
    torch.testing.assert_close(lacking.parts[2, ::2], whole.parts[2, ::2], atol=1e-5, rtol=0)


def test_each_modality_reaches_the_vector(fusion):
    streams = batch()
    whole = fusion(streams).vector
    for name in SIZES:
        other = batch(seed=1)[name]
        changed = fusion({**streams, name: other}).vector
        assert (changed - whole).abs().amax(1).min() > 1e-3


def test_no_modality_sees_another_one_in_its_own_part(fusion):
    streams = batch()
    whole = fusion(streams).parts
    changed = fusion({**streams, "audio": batch(seed=1)["audio"]}).parts
    torch.testing.assert_close(changed[:, ::2], whole[:, ::2])
    assert (changed[:, 1] - whole[:, 1]).abs().amax(1).min() > 1e-3


@pytest.mark.parametrize("kind", ["early", "bottleneck", "crossmodal"])
def test_time_counts_in_seconds(kind):
    torch.manual_seed(0)
    fusion = KINDS[kind](SIZES).eval()
    streams = batch()
    sound = streams["audio"]
    later = fusion({**streams, "audio": sound._replace(seconds=sound.seconds + 2)}).vector
    assert (later - fusion(streams).vector).abs().amax(1).min() > 1e-3


def test_dropped_modalities_are_as_absent_ones(fusion):
    fusion.modality_dropout = 1.0
    fusion.train()
    for module in fusion.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    found = fusion(batch(), torch.Generator().manual_seed(0))
    again = fusion(batch(), torch.Generator().manual_seed(0))
    torch.testing.assert_close(found.vector, again.vector)
    assert found.present.all()
    kept = found.weights > 0
    assert (kept.sum(1) == 1).all()
    streams = batch()
    for place, name in enumerate(SIZES):
        stream = streams[name]
        streams[name] = stream._replace(mask=stream.mask & kept[:, place, None])
    fusion.modality_dropout = 0.0
    lacking = fusion(streams)
    torch.testing.assert_close(lacking.vector, found.vector, atol=1e-5, rtol=0)
    assert not torch.allclose(lacking.parts, found.parts)


def test_gradients_reach_every_parameter(fusion):
    streams = batch()
    streams["text"].mask[0] = False
    found = fusion(streams)
    (found.vector.sum() + found.vector.square().sum() + found.parts.square().sum()).backward()
    for name, value in fusion.named_parameters():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name


def test_padding_gives_no_gradient(fusion):
    for streams in (batch(), padded(batch())):
        fusion.zero_grad()
        fusion(streams).vector.square().sum().backward()
        found = [value.grad.clone() for value in fusion.parameters() if value.grad is not None]
        if streams["text"].mask.shape[1] == STEPS["text"]:
            expected = found
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_a_recorded_fusion_is_built_again(fusion):
    torch.testing.assert_close(twin(fusion)(batch()).vector, fusion(batch()).vector)


def test_the_common_steps_of_early_fusion_are_those_of_what_is_there():
    torch.manual_seed(0)
    fusion = KINDS["early"](SIZES).eval()
    streams = {name: stream for name, stream in batch().items() if name != "text"}
    later = {name: each._replace(seconds=each.seconds + 100) for name, each in streams.items()}
    torch.testing.assert_close(fusion(later).vector, fusion(streams).vector, atol=1e-3, rtol=0)


def test_late_fusion_is_the_weighted_mean_of_predictions():
    fusion = KINDS["late"](SIZES).eval()
    assert fusion.is_late
    predictions = torch.tensor([[[1.0, 0.0], [0.0, 4.0], [9.0, 9.0]]])
    weights = torch.tensor([[0.75, 0.25, 0.0]])
    torch.testing.assert_close(fusion.combine(predictions, weights), torch.tensor([[0.75, 1.0]]))


def test_heads_on_linear_fusion_are_linear_models():
    fusion = KINDS["linear"](SIZES).eval()
    assert fusion.is_late
    streams = batch()
    found = fusion(streams)
    for place, (name, width) in enumerate(SIZES.items()):
        features, mask, _ = streams[name]
        mean = (features * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        torch.testing.assert_close(found.parts[:, place, :width], mean)
        assert not found.parts[:, place, width:].any()
    torch.testing.assert_close(found.weights, torch.full((3, 3), 1 / 3))


def test_late_fusion_learns_whom_to_trust():
    torch.manual_seed(0)
    fusion = LateFusion({"clear": 3, "noise": 3}, 16, modality_dropout=0.0, dropout=0.0)
    heads = nn.ModuleList(nn.Linear(16, 2) for _ in range(2))
    optimizer = torch.optim.AdamW([*fusion.parameters(), *heads.parameters()], 5e-3)
    for _ in range(80):
        label = torch.randint(2, (64,))
        signal = torch.randn(64, 1, 3)
        signal[:, 0, 0] = 2.0 * label - 1
        streams = {
            "clear": stream_of(signal),
            "noise": stream_of(torch.randn(64, 1, 3)),
        }
        found = fusion(streams)
        own = torch.stack([head(found.parts[:, i]) for i, head in enumerate(heads)], 1)
        loss = nn.functional.cross_entropy(fusion.combine(own, found.weights), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert found.weights[:, 0].mean() > 0.7


@pytest.mark.parametrize(
    "kind", ["pooled", "early", "bottleneck", "crossmodal", "low rank", "tensor"]
)
def test_what_only_two_modalities_tell_together_is_learnt(kind):
    torch.manual_seed(0)
    fusion = KINDS[kind]({"a": 2, "b": 2}, modality_dropout=0.0, dropout=0.0)
    head = nn.Linear(16, 2)
    optimizer = torch.optim.AdamW([*fusion.parameters(), *head.parameters()], 5e-3)
    correct = []
    for _ in range(150):
        bits = torch.randint(2, (64, 2))
        streams = {
            name: stream_of((2.0 * bits[:, i] - 1)[:, None, None] + 0.3 * torch.randn(64, 2, 2))
            for i, name in enumerate("ab")
        }
        logits = head(fusion(streams).vector)
        label = bits[:, 0] ^ bits[:, 1]
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, label).backward()
        optimizer.step()
        correct.append((logits.argmax(1) == label).float().mean())
    assert torch.stack(correct[-10:]).mean() > 0.95


def stream_of(features):
    size, steps, _ = features.shape
    mask = torch.ones(size, steps, dtype=torch.bool)
    return Stream(features, mask, torch.arange(steps).float().expand(size, -1))


def test_low_rank_products_are_a_tensor_of_that_rank():
    torch.manual_seed(0)
    low = TensorFusion({"a": 2, "b": 2}, 4, rank=3, part_size=2).eval()
    parts = torch.randn(5, 2, 4)
    found, _ = low.fuse([], parts, torch.ones(5, 2, dtype=torch.bool))
    sides = [
        nn.functional.pad(torch.tanh(shrink(parts[:, i])), (0, 1), value=1.0)
        for i, shrink in enumerate(low.shrink)
    ]
    tensor = torch.einsum("r,rid,rjd->ijd", low.mix, low.factors[0], low.factors[1])
    expected = low.norm(torch.einsum("bi,bj,ijd->bd", sides[0], sides[1], tensor))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_resampling_keeps_a_constant_and_follows_a_slope():
    seconds = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0, 99.0]])
    mask = torch.tensor([[True] * 5 + [False]])
    features = torch.stack([torch.ones(6), torch.arange(6.0)], 1)[None]
    times = torch.tensor([[1.0, 2.0, 3.0]])
    found = resample(features, mask, seconds, times, torch.tensor([[1.0]]))
    torch.testing.assert_close(found[0, :, 0], torch.ones(3))
    torch.testing.assert_close(found[0, :, 1], times[0], atol=0.01, rtol=0)
    # Far away, and of no width: the nearest step.
    far = resample(features, mask, seconds, torch.tensor([[50.0]]), torch.tensor([[0.0]]))
    assert far[0, 0, 1] == 4.0


def test_waves_tell_a_spectrums_step_and_a_long_scene():
    places = second_waves(torch.tensor([[0.0, 0.01, 60.0, 60.01]]), 32)[0]
    assert places.abs().max() <= 1
    apart = torch.cdist(places, places)
    assert (apart + 9 * torch.eye(4)).min() > 0.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {}, "fuses video, audio, text, got nothing"),
        (lambda s: {**s, "smell": s["text"]}, "got smell"),
        (lambda s: {**s, "text": s["audio"]}, r"text: expected features \(3, T, 4\), got"),
        (
            lambda s: {**s, "text": s["text"]._replace(mask=s["text"].mask.float())},
            "text: expected a bool mask",
        ),
        (
            lambda s: {**s, "text": s["text"]._replace(seconds=s["text"].seconds[:, 1:])},
            "text: expected float seconds",
        ),
        (
            lambda s: {
                n: v._replace(mask=v.mask & torch.tensor([[1], [0], [1]]).bool())
                for n, v in s.items()
            },
            r"without any modality in the batch, at positions \[1\]",
        ),
    ],
)
def test_unusable_streams_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        KINDS["late"](SIZES)(change(batch()))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LateFusion({}, 8), "at least one modality"),
        (lambda: LateFusion(SIZES, 8, modality_dropout=1.5), "modality dropout must be in"),
        (lambda: EarlyFusion(SIZES, 8, 0), "num_steps must be at least 1"),
        (lambda: BottleneckFusion(SIZES, 8, num_bottlenecks=0), "must be at least 1"),
        (lambda: BottleneckFusion(SIZES, 10, num_heads=4), "a multiple of num_heads"),
        (lambda: TensorFusion(SIZES, 8, 0), "rank and part_size"),
        (lambda: TensorFusion(SIZES, 8, None, 200), "set rank, or a smaller part_size"),
    ],
)
def test_unusable_settings_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()
