"""Multiply-adds and weights, counted on the real modules."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.backends import mha
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from helixnas.search_space import Cost


@torch.no_grad()
def count(network: nn.Module, in_shape: tuple[int, ...]) -> Cost:
    """What one forward pass of one image of ``in_shape`` (without the batch) takes; latency is left unmeasured.

    Convolutions, linear layers and attention count; BatchNorm, activations and pooling do not, as is the papers' way.
    """
    network.eval()
    with _plain_attention(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *in_shape))
    num_params = sum(parameter.numel() for parameter in network.parameters())
    return Cost(counter.get_total_flops() // 2, num_params)  # torch counts a multiply-add as two


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention as plain products in the body: torch's counter sees nothing inside a fused kernel of the CPU."""
    is_fast = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        mha.set_fastpath_enabled(is_fast)
