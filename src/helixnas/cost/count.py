"""Count multiply-adds and weights on the real modules."""

import torch
from torch import nn

from helixnas.cut import counting
from helixnas.results import Cost


@torch.no_grad()
def count(network: nn.Module, in_shape: tuple[int, ...]) -> Cost:
    """Count madds and num_params of one forward pass of one image; latency is left unmeasured.

    Convolutions, linear layers and attention count; BatchNorm, activations and pooling do not, as in the papers.

    Args:
        network: Put into eval mode, and run on zeros.
        in_shape: Shape of the input without the batch, such as [C, H, W].
    """
    network.eval()
    with counting() as counter:
        network(torch.zeros(1, *in_shape))
    num_params = sum(parameter.numel() for parameter in network.parameters())
    return Cost(counter.madds, num_params)
