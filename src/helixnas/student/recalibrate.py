"""BatchNorm statistics belong to a path, not to a candidate: measure them anew for the path at hand."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def measuring(network: nn.Module) -> Iterator[None]:
    """In the body, BatchNorm uses each batch's statistics and remembers their plain mean over batches.

    What was remembered before is forgotten first. Afterwards the network is in eval mode, its momenta as they were.
    """
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's spelling of a cumulative average
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.eval()


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Measure the BatchNorm statistics of a whole network on batches of its inputs, each of two images or more."""
    with measuring(network):
        for batch in batches:
            network(batch)
