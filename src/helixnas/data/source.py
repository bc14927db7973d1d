"""Where images come from: labels first, pixels one at a time, so that images of every size pass through."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Labelled images that are still to be read.

    ``labels`` are int64 [N]. ``is_test`` is bool [N] where the source brings a test split of its own. ``names`` say
    which image is meant in a message. ``read(row)`` gives uint8 [C, H, W] of any size, or raises OSError, ValueError.
    """

    labels: Tensor
    class_names: tuple[str, ...]
    names: Sequence[str]
    read: Callable[[int], Tensor]
    is_test: Tensor | None = None


def of_arrays(images: Tensor, labels: Tensor, class_names: Sequence[str], is_test: Tensor | None = None) -> Source:
    """A source of images that are in memory already, uint8 [N, C, H, W]."""
    names = [f"image {row}" for row in range(len(labels))]
    return Source(labels.to(torch.int64), tuple(class_names), names, lambda row: images[row], is_test)
