"""Make values ahead of the step that takes them, in processes beside it: decoding and PIL are slower than a GPU."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from helixnas.errors import HelixError

NUM_BESIDE_A_GPU = 4
"""The number of loaders that "auto" means beside a GPU, where there are as many cores."""
Made = TypeVar("Made")


def resolve_loaders(asked: int | str, device: torch.device) -> int:
    """Return the number of processes that ``num_loaders`` means.

    Args:
        asked: A number, or "auto": four beside a GPU but at most one per core, and none on a CPU.
        device: Where the training runs.
    """
    if isinstance(asked, int):
        return asked
    return min(NUM_BESIDE_A_GPU, multiprocessing.cpu_count()) if device.type == "cuda" else 0


def ahead(make: Callable[[int], Made], steps: Sequence[int], num_loaders: int) -> Iterator[Made]:
    """Yield ``make(step)`` for each step in order, made ahead by forks of this process.

    Args:
        make: Must depend on the step alone; then the number of loaders changes nothing but the speed. Gives a tensor,
            or a tuple of tensors and plain values.
        steps: The steps in the order in which they are taken.
        num_loaders: Number of forks; with 0, this process makes each value when it is taken.
    """
    if not num_loaders:
        yield from map(make, steps)
        return
    loader = DataLoader(
        _Attempts(make),
        batch_size=None,
        sampler=steps,
        num_workers=num_loaders,
        pin_memory=torch.cuda.is_available(),
        multiprocessing_context="fork",
        generator=torch.Generator(),  # else DataLoader draws a seed from the global generator
    )
    for made, error in loader:
        if error is not None:
            raise error
        yield made


class _Attempts(Dataset[tuple[Made | None, HelixError | None]]):
    def __init__(self, make: Callable[[int], Made]) -> None:
        self._make = make

    def __getitem__(self, step: int) -> tuple[Made | None, HelixError | None]:
        """The value, or the error with its plain text: one that is raised here comes with a traceback in its text."""
        try:
            return self._make(step), None
        except HelixError as error:
            return None, error
