"""Multiply-adds and weights, counted on the real modules."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helixnas.search_space import Cost


@torch.no_grad()
def count(network: nn.Module, in_shape: tuple[int, ...]) -> Cost:
    """What one forward pass of one image of ``in_shape`` (without the batch) takes; latency is left unmeasured.

    Convolutions, linear layers and attention count; BatchNorm, activations and pooling do not, as is the papers' way.
    """
    network.eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *in_shape))
    num_params = sum(parameter.numel() for parameter in network.parameters())
    return Cost(counter.get_total_flops() // 2, num_params)  # torch counts a multiply-add as two
