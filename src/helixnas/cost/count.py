"""Multiply-adds and weights, counted on the real modules."""

import torch
from torch import nn

from helixnas.cut import counting
from helixnas.results import Cost


@torch.no_grad()
def count(network: nn.Module, in_shape: tuple[int, ...]) -> Cost:
    """What one forward pass of one image of ``in_shape`` (without the batch) takes; latency is left unmeasured.

    Convolutions, linear layers and attention count; BatchNorm, activations and pooling do not, as is the papers' way.
    """
    network.eval()
    with counting() as counter:
        network(torch.zeros(1, *in_shape))
    num_params = sum(parameter.numel() for parameter in network.parameters())
    return Cost(counter.madds, num_params)
