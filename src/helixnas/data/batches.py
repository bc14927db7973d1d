"""Seeds and orders: the same run draws the same batches, whatever it drew before and wherever it resumes."""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor


def derive_seed(seed: int, *parts: str | int) -> int:
    """Return a seed below 2^31 for one purpose, such as ``derive_seed(seed, "distill", block_id, step)``."""
    text = ":".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def epoch_batches(num_images: int, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Yield index batches [batch_size] of one shuffled epoch.

    An incomplete last batch is dropped, unless it is the only one.
    """
    order = torch.randperm(num_images, generator=torch.Generator().manual_seed(seed))
    for start in range(0, num_batches(num_images, batch_size) * batch_size, batch_size):
        yield order[start : start + batch_size]


def num_batches(num_images: int, batch_size: int) -> int:
    """Return the number of batches of one epoch, at least 1."""
    return max(1, num_images // batch_size)
