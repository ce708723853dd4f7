"""What other projects call the weights of the networks that this one has too.

PyTorchVideo 0.1.5, MMAction2 1.2.0 and transformers 5.24 by what their own models and files hold;
PySlowFast by the names of its modules, from which PyTorchVideo's published weights were converted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

Rules = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]

# It keeps the channels, so that it has no normalisation here.
_FIRST_SHORTCUT = (r"^blocks\.0\.shortcut\.0\.", "blocks.0.shortcut.")
# Blocks before each stage of X3D (3, 5, 11, 7), counted here through the whole network.
_X3D_BEFORE = (0, 3, 8, 19)


def _x3d_block(match: re.Match[str]) -> str:
    """Count a block through the network, of the numbers of its stage (from 1) and in it."""
    return f"blocks.{_X3D_BEFORE[int(match[1]) - 1] + int(match[2])}."


_PYTORCHVIDEO: Rules = [
    (r"^blocks\.0\.multipathway_blocks\.(\d)\.conv\.", r"path\1.conv1."),
    (r"^blocks\.0\.multipathway_blocks\.(\d)\.norm\.", r"path\1.bn1."),
    (r"^blocks\.(\d)\.multipathway_fusion\.conv_fast_to_slow\.", r"lateral.\1.0."),
    (r"^blocks\.(\d)\.multipathway_fusion\.norm\.", r"lateral.\1.1."),
    (r"^blocks\.(\d)\.multipathway_blocks\.(\d)\.res_blocks\.", r"path\2.layer\1."),
    (r"^blocks\.0\.conv\.", "path0.conv1."),
    (r"^blocks\.0\.norm\.", "path0.bn1."),
    (r"^blocks\.(\d)\.res_blocks\.", r"path0.layer\1."),
    (r"branch1_conv\.", "downsample.0."),
    (r"branch1_norm\.", "downsample.1."),
    (r"branch2\.conv_a\.", "conv1."),
    (r"branch2\.norm_a\.", "bn1."),
    (r"branch2\.conv_b\.", "conv2."),
    (r"branch2\.norm_b\.", "bn2."),
    (r"branch2\.conv_c\.", "conv3."),
    (r"branch2\.norm_c\.", "bn3."),
]
_PYTORCHVIDEO_X3D: Rules = [
    (r"^blocks\.\d\.pool\.pre_conv\.", "last.0."),
    (r"^blocks\.\d\.pool\.pre_norm\.", "last.1."),
    (r"^blocks\.\d\.pool\.post_conv\.", "hidden.0."),
    # It calls the convolution over space conv_t, and the one over time conv_xy.
    (r"^blocks\.0\.conv\.conv_t\.", "stem.0."),
    (r"^blocks\.0\.conv\.conv_xy\.", "stem.1."),
    (r"^blocks\.0\.norm\.", "stem.2."),
    (r"^blocks\.(\d)\.res_blocks\.(\d+)\.", _x3d_block),
    (r"branch1_conv\.", "shortcut.0."),
    _FIRST_SHORTCUT,
    (r"branch1_norm\.", "shortcut.1."),
    (r"branch2\.conv_a\.", "widen.0."),
    (r"branch2\.norm_a\.", "widen.1."),
    (r"branch2\.conv_b\.", "depthwise.0."),
    (r"branch2\.norm_b\.0\.", "depthwise.1."),
    (r"branch2\.norm_b\.1\.block\.0\.", "depthwise.2.weights.1."),
    (r"branch2\.norm_b\.1\.block\.2\.", "depthwise.2.weights.3."),
    (r"branch2\.conv_c\.", "narrow.0."),
    (r"branch2\.norm_c\.", "narrow.1."),
]
_MMACTION: Rules = [
    (r"^backbone\.", ""),
    (r"^slow_path\.conv1_lateral\.conv\.", "lateral.0.0."),
    (r"^slow_path\.layer(\d)_lateral\.conv\.", r"lateral.\1.0."),
    (r"^slow_path\.conv1_lateral\.bn\.", "lateral.0.1."),
    (r"^slow_path\.layer(\d)_lateral\.bn\.", r"lateral.\1.1."),
    (r"^slow_path\.", "path0."),
    (r"^fast_path\.", "path1."),
    (r"(^|\.)conv(\d)\.conv\.", r"\1conv\2."),
    (r"(^|\.)conv(\d)\.bn\.", r"\1bn\2."),
    (r"\.downsample\.conv\.", ".downsample.0."),
    (r"\.downsample\.bn\.", ".downsample.1."),
]
_MMACTION_X3D: Rules = [
    (r"^backbone\.", ""),
    (r"^conv1_s\.conv\.", "stem.0."),
    (r"^conv1_t\.conv\.", "stem.1."),
    (r"^conv1_t\.bn\.", "stem.2."),
    (r"^conv5\.conv\.", "last.0."),
    (r"^conv5\.bn\.", "last.1."),
    (r"^cls_head\.fc1\.", "hidden.0."),
    (r"^layer(\d)\.(\d+)\.", _x3d_block),
    (r"\.downsample\.conv\.", ".shortcut.0."),
    _FIRST_SHORTCUT,
    (r"\.downsample\.bn\.", ".shortcut.1."),
    (r"\.conv1\.conv\.", ".widen.0."),
    (r"\.conv1\.bn\.", ".widen.1."),
    (r"\.conv2\.conv\.", ".depthwise.0."),
    (r"\.conv2\.bn\.", ".depthwise.1."),
    (r"\.se_module\.fc1\.", ".depthwise.2.weights.1."),
    (r"\.se_module\.fc2\.", ".depthwise.2.weights.3."),
    (r"\.conv3\.conv\.", ".narrow.0."),
    (r"\.conv3\.bn\.", ".narrow.1."),
]
_MMACTION_C3D: Rules = [
    (r"^backbone\.", ""),
    *(
        (rf"^conv{theirs}\.conv\.", f"convolutions.{ours}.")
        for theirs, ours in zip(
            ("1a", "2a", "3a", "3b", "4a", "4b", "5a", "5b"),
            (0, 3, 6, 8, 11, 13, 16, 18),
            strict=True,
        )
    ),
    (r"^fc6\.", "hidden.1."),
    (r"^fc7\.", "hidden.4."),
]
_PYSLOWFAST: Rules = [
    (r"^s(\d)_fuse\.conv_f2s\.", lambda m: f"lateral.{int(m[1]) - 1}.0."),
    (r"^s(\d)_fuse\.bn\.", lambda m: f"lateral.{int(m[1]) - 1}.1."),
    (r"^s1\.pathway(\d)_stem\.conv\.", r"path\1.conv1."),
    (r"^s1\.pathway(\d)_stem\.bn\.", r"path\1.bn1."),
    (r"^s(\d)\.pathway(\d)_res(\d+)\.", lambda m: f"path{m[2]}.layer{int(m[1]) - 1}.{m[3]}."),
    (r"\.branch1\.", ".downsample.0."),
    (r"\.branch1_bn\.", ".downsample.1."),
    *((rf"\.branch2\.{part}\.", f".conv{n}.") for n, part in enumerate("abc", 1)),
    *((rf"\.branch2\.{part}_bn\.", f".bn{n}.") for n, part in enumerate("abc", 1)),
]
_PYSLOWFAST_X3D: Rules = [
    (r"^s1\.pathway0_stem\.conv_xy\.", "stem.0."),
    (r"^s1\.pathway0_stem\.conv\.", "stem.1."),
    (r"^s1\.pathway0_stem\.bn\.", "stem.2."),
    (r"^head\.conv_5\.", "last.0."),
    (r"^head\.conv_5_bn\.", "last.1."),
    (r"^head\.lin_5\.", "hidden.0."),
    (r"^s2\.pathway0_res", "stage1."),
    (r"^s3\.pathway0_res", "stage2."),
    (r"^s4\.pathway0_res", "stage3."),
    (r"^s5\.pathway0_res", "stage4."),
    (r"^stage(\d)\.(\d+)\.", _x3d_block),
    (r"\.branch1\.", ".shortcut.0."),
    _FIRST_SHORTCUT,
    (r"\.branch1_bn\.", ".shortcut.1."),
    (r"\.branch2\.a\.", ".widen.0."),
    (r"\.branch2\.a_bn\.", ".widen.1."),
    (r"\.branch2\.b\.", ".depthwise.0."),
    (r"\.branch2\.b_bn\.", ".depthwise.1."),
    (r"\.branch2\.se\.fc1\.", ".depthwise.2.weights.1."),
    (r"\.branch2\.se\.fc2\.", ".depthwise.2.weights.3."),
    (r"\.branch2\.c\.", ".narrow.0."),
    (r"\.branch2\.c_bn\.", ".narrow.1."),
]
# torchvision renames the weights of its own DenseNets when it reads them itself.
_OLD_DENSENET: Rules = [(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.")]
# transformers renames what its files hold when it reads them itself.
_VIDEOMAE_FILE: Rules = [
    (r"\.attention\.q_bias$", ".attention.query.bias"),
    (r"\.attention\.v_bias$", ".attention.value.bias"),
]
_VIVIT_FILE: Rules = [
    (r"(^|\.)encoder\.layer\.(\d+)\.", r"\1layers.\2."),
    (r"\.attention\.attention\.query\.", ".attention.q_proj."),
    (r"\.attention\.attention\.key\.", ".attention.k_proj."),
    (r"\.attention\.attention\.value\.", ".attention.v_proj."),
    (r"\.attention\.output\.dense\.", ".attention.o_proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
]

STYLES: dict[str, Rules] = {
    "this encoder's": [],
    "PyTorchVideo's": _PYTORCHVIDEO,
    "PyTorchVideo's X3D": _PYTORCHVIDEO_X3D,
    "MMAction2's": _MMACTION,
    "MMAction2's X3D": _MMACTION_X3D,
    "MMAction2's C3D": _MMACTION_C3D,
    "PySlowFast's": _PYSLOWFAST,
    "PySlowFast's X3D": _PYSLOWFAST_X3D,
    "torchvision's old DenseNet": _OLD_DENSENET,
    "Hugging Face's VideoMAE": _VIDEOMAE_FILE,
    "Hugging Face's ViViT": _VIVIT_FILE,
}


def rename(names: Sequence[str], style: str) -> dict[str, str]:
    """Return the names that this project would give the weights of another one.

    Args:
        names: Names in a state dict of the other project.
        style: One of :data:`STYLES`.

    Returns:
        ``{other name: our name}``, without what an encoder puts before all its names. A name that
        no rule knows stays as it is.
    """
    found = {}
    for name in names:
        new = name
        for pattern, replacement in STYLES[style]:
            new = re.sub(pattern, replacement, new)
        found[name] = new
    # A pathway of its own needs no name; PyTorchVideo counts I3D's pooling among the stages.
    two = any(new.startswith("path1.") for new in found.values())
    pathways = {"path0.": "slow." if two else "", "path1.": "fast."}
    stages = sorted({m[1] for new in found.values() for m in re.finditer(r"\blayer(\d)\.", new)})

    def count(match: re.Match[str]) -> str:
        return f"layer{stages.index(match[1]) + 1}."

    for name, new in found.items():
        pathway = pathways.get(new[:6])
        if pathway is not None:
            new = pathway + new[6:]
        found[name] = re.sub(r"\blayer(\d)\.", count, new) if style == "PyTorchVideo's" else new
    return found


def fold_first_shortcut(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fold the normalisation of X3D's first shortcut into the layers beside it.

    PySlowFast and MMAction2 normalise it, PyTorchVideo does not, and so the published number of
    parameters. At rest its scale can be the convolution's, and its shift that of the normalisation
    whose result is added to it.

    Args:
        state: A network's weights by this project's names, without prefix.

    Returns:
        The weights without that normalisation, or ``state`` itself where there is none.
    """
    before, kernel, beside = (
        "blocks.0.shortcut.1.",
        "blocks.0.shortcut.weight",
        "blocks.0.narrow.1.bias",
    )
    needed = [before + part for part in ("weight", "bias", "running_mean", "running_var")]
    if not all(name in state for name in (*needed, kernel, beside)):
        return state
    weight, bias, mean, variance = (state[name] for name in needed)
    scale = weight / (variance + 1e-5).sqrt()
    found = {name: value for name, value in state.items() if not name.startswith(before)}
    found[kernel] = state[kernel] * scale.view(-1, 1, 1, 1, 1)
    found[beside] = state[beside] + bias - mean * scale
    return found


def remarks(style: str, state: Mapping[str, Tensor]) -> list[str]:
    """Say where the same weights do not make the same network.

    Args:
        style: One of :data:`STYLES`.
        state: A network's weights by this project's names.
    """
    if style == "MMAction2's C3D":
        return [
            "MMAction2's own recipe feeds C3D pixels of 0 to 255, this encoder about -2 to 2: the "
            "first layer has to adapt"
        ]
    first = state.get("network.conv1.weight")
    if style == "MMAction2's" and first is not None and first.ndim == 5 and first.shape[2] == 5:
        return ["MMAction2's I3D halves time three times, this one once: fine-tune all of it"]
    return []
