"""Augment images ahead of the step that takes them, in processes beside the training: PIL is slower than a GPU."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

NUM_BESIDE_A_GPU = 4
"""The number of loaders that "auto" means beside a GPU, where there are as many cores."""


def resolve_loaders(asked: int | str, device: torch.device) -> int:
    """Return the number of processes that ``num_loaders`` means.

    Args:
        asked: A number, or "auto": four beside a GPU but at most one per core, and none on a CPU.
        device: Where the training runs.
    """
    if isinstance(asked, int):
        return asked
    return min(NUM_BESIDE_A_GPU, multiprocessing.cpu_count()) if device.type == "cuda" else 0


def ahead(make: Callable[[int], Tensor], steps: Sequence[int], num_loaders: int) -> Iterator[Tensor]:
    """Yield ``make(step)`` for each step in order, made ahead by forks of this process.

    Args:
        make: Must depend on the step alone; then the number of loaders changes nothing but the speed.
        steps: The steps in the order in which they are taken.
        num_loaders: Number of forks; with 0, this process makes each tensor when it is taken.
    """
    if not num_loaders:
        return map(make, steps)
    return iter(
        DataLoader(
            _Made(make),
            batch_size=None,
            sampler=steps,
            num_workers=num_loaders,
            pin_memory=torch.cuda.is_available(),
            multiprocessing_context="fork",
            generator=torch.Generator(),  # else DataLoader draws a seed from the global generator
        )
    )


class _Made(Dataset[Tensor]):
    def __init__(self, make: Callable[[int], Tensor]) -> None:
        self._make = make

    def __getitem__(self, step: int) -> Tensor:
        return self._make(step)
