"""BatchNorm statistics belong to a path, not to a candidate: measure them anew for the path at hand."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from helixnas.blocks import BlockSpec

MIN_VALUES = 2**13
"""Of each channel, for its mean and variance: a variance of so many values is wrong by about 1.6 %."""
MIN_IMAGES = 256


def num_calibration_images(asked: int | Literal["auto"], num_train: int, specs: Iterable[BlockSpec]) -> int:
    """How many train images BatchNorm statistics are measured on.

    "auto" takes as many as give each channel 2^13 values on the smallest map that a block ends with, and 256 at least;
    or the whole train part, where that is less. On maps of one pixel that is an image for each value.
    """
    if asked != "auto":
        return asked
    smallest = min(math.prod(spec.out_size) for spec in specs)
    return min(num_train, max(MIN_IMAGES, math.ceil(MIN_VALUES / smallest)))


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
