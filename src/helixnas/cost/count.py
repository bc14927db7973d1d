"""Count the cost of a network on its real modules."""

from collections.abc import Iterable

import torch
from torch import nn

from helixnas.cost_kinds import counted
from helixnas.results import Cost


@torch.no_grad()
def count(network: nn.Module, in_shape: tuple[int, ...], kinds: Iterable[str]) -> Cost:
    """Count the cost of one forward pass of one image.

    Args:
        network: Put into eval mode, and run on zeros.
        in_shape: Shape of the input without the batch, such as [C, H, W].
        kinds: Names of kinds of cost; those that are measured are left out.
    """
    network.eval()
    return Cost({name: kind.count(network, in_shape) for name, kind in counted(kinds).items()})
