"""Images augmented ahead of the step that takes them, by processes beside it: PIL is slower than a GPU."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

NUM_BESIDE_A_GPU = 4


def resolve_loaders(asked: int | str, device: torch.device) -> int:
    """How many processes ``num_loaders`` means: "auto" is four beside a GPU, at most one a core; none on a CPU."""
    if isinstance(asked, int):
        return asked
    return min(NUM_BESIDE_A_GPU, multiprocessing.cpu_count()) if device.type == "cuda" else 0


def ahead(make: Callable[[int], Tensor], steps: Sequence[int], num_loaders: int) -> Iterator[Tensor]:
    """``make(step)`` for one step after another, made by ``num_loaders`` forks of this process, or where it is taken.

    What is made must depend on the step alone; then the number of loaders changes nothing but the speed.
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
            generator=torch.Generator(),  # else it draws a seed from the global one, which nobody needs
        )
    )


class _Made(Dataset[Tensor]):
    def __init__(self, make: Callable[[int], Tensor]) -> None:
        self._make = make

    def __getitem__(self, step: int) -> Tensor:
        return self._make(step)
