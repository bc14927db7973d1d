"""Recalibrate BatchNorm: its statistics belong to a path, not to a candidate, so measure them for the path in use."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from helixnas.blocks import BlockSpec

MIN_VALUES = 2**13
"""Values of each channel for its mean and variance: a variance of so many values is wrong by about 1.6 %."""
MIN_IMAGES = 256
"""The least number of calibration images that "auto" takes, as far as the train part has so many."""


def num_calibration_images(asked: int | Literal["auto"], num_train: int, specs: Iterable[BlockSpec]) -> int:
    """Return the number of train images on which BatchNorm statistics are measured.

    Args:
        asked: A number, or "auto": as many images as give each channel 2^13 values on the smallest map with which a
            block ends, but at least 256, and at most the whole train part. On maps of one pixel, each image gives one
            value.
        num_train: Images in the train part.
        specs: The interfaces of all blocks.
    """
    if asked != "auto":
        return asked
    smallest = min(math.prod(spec.out_size) for spec in specs)
    return min(num_train, max(MIN_IMAGES, math.ceil(MIN_VALUES / smallest)))


@contextmanager
def measuring(network: nn.Module) -> Iterator[None]:
    """Let BatchNorm use each batch's statistics in the body, and remember their plain mean over batches.

    Statistics from before are forgotten first. Afterwards the network is in eval mode, and its momenta are as before.
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
    """Measure the BatchNorm statistics of a whole network on batches of its inputs, each of at least two images."""
    with measuring(network):
        for batch in batches:
            network(batch)
