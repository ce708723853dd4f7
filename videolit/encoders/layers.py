"""The layers of a network from input to output, and how to keep fewer of their values in memory."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# Lists of blocks; subclasses, such as a convolution with its norm, are blocks.
_LISTS = (nn.Sequential, nn.ModuleList)


def split_layers(network: nn.Module) -> list[list[nn.Module]]:
    """Split a network into its layers, from input to output, as its modules are registered.

    A block of a list of blocks is a layer, and so is a single operation such as a convolution, with
    the norms after it.

    Args:
        network: Any module.

    Returns:
        The modules of each layer; each module with parameters is in one of them, or part of one.
    """
    layers: list[list[nn.Module]] = []
    for part in _parts(network):
        is_norm = all(p.ndim <= 1 for p in part.parameters())
        if layers and is_norm:
            layers[-1].append(part)
        else:
            layers.append([part])
    return layers


def layer_parameters(network: nn.Module, layers: list[list[nn.Module]]) -> list[list[nn.Parameter]]:
    """Return the parameters of each layer; the network's own, as position embeddings, come first.

    Args:
        network: Any module.
        layers: Its layers.

    Returns:
        Each parameter once.
    """
    taken: set[int] = set()
    found: list[list[nn.Parameter]] = []
    for layer in layers:
        mine = [p for part in layer for p in part.parameters() if id(p) not in taken]
        taken |= {id(p) for p in mine}
        found.append(mine)
    own = [p for p in network.parameters() if id(p) not in taken]
    if own:
        found = [own + found[0], *found[1:]] if found else [own]
    return [layer for layer in found if layer]


def recompute_layers(layers: list[list[nn.Module]]) -> None:
    """Make each block of the layers compute its inner values again in the backward pass.

    Only what a block takes in is kept in the forward pass (Chen et al. 2016, arXiv:1604.06174).
    Results, gradients and BatchNorm statistics stay the same, names of the weights too.

    Args:
        layers: Modules of a network, changed in place.
    """
    for part in (part for layer in layers for part in layer):
        is_block = any(True for _ in part.children())
        if is_block and "forward" not in vars(part):
            # A bound method, which a copy of the network binds to the copy.
            part.forward = types.MethodType(_recomputed, part)


def _recomputed(self: nn.Module, *inputs: Tensor | object) -> object:
    """The forward of a block that keeps its input only."""
    forward = type(self).forward
    if not (self.training and torch.is_grad_enabled()):
        return forward(self, *inputs)
    return checkpoint(
        forward,
        self,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (contextlib.nullcontext(), _resting_statistics(self)),
    )


@contextlib.contextmanager
def _resting_statistics(module: nn.Module) -> Iterator[None]:
    """Leave running statistics alone: the first pass has counted this batch already."""
    norms = [
        part
        for part in module.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats
    ]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked = count


def _parts(network: nn.Module) -> Iterator[nn.Module]:
    """Yield blocks and other parts that have parameters, in order."""
    for child in network.children():
        if not any(True for _ in child.parameters()):
            continue
        # A backbone in its wrapper holds lists of blocks somewhere below; a block that holds one,
        # such as its shortcut, stays whole.
        lists = [part for part in child.modules() if type(part) in _LISTS]
        holds_lists = any(len(list(part.children())) > 1 for part in lists)
        if type(child) in _LISTS or (type(network) not in _LISTS and holds_lists):
            yield from _parts(child)
        else:
            yield child
