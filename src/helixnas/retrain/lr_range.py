"""Find the learning rate that suits a student: try each for a few steps from the same start, on the same batches."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from helixnas.config.recipes import Recipe
from helixnas.data import ImageSet, num_batches, room_for
from helixnas.fit import Batch, Fit, LossFunction
from helixnas.progress import Progress

RATES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
"""The learning rates to try, rising."""
NUM_STEPS = 24
"""Steps of each trial, or those of an epoch where an epoch has fewer."""
NUM_IMAGES = 512
"""Images of the sample that decides, or the whole part where the part has fewer."""
PATIENCE = 2
"""The test ends after so many rates in a row that are worse than the best before them."""


@dataclass(frozen=True, slots=True)
class RangeTest:
    """The result of a range test.

    Attributes:
        lr: The learning rate that the test chose.
        start_loss: The mean loss of the student before any step.
        losses: Each tried rate with the loss after its steps; None where the loss was not finite.
        num_steps: Steps of each trial.
        num_images: Images in the sample that decides.
    """

    lr: float
    start_loss: float
    losses: tuple[tuple[float, float | None], ...]
    num_steps: int
    num_images: int

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "RangeTest":
        """Make the result again from the plain types into which ``asdict`` turned it."""
        return cls(**{**value, "losses": tuple((lr, loss) for lr, loss in value["losses"])})

    def __str__(self) -> str:
        tried = ", ".join(f"{lr:g}: {'no number' if loss is None else f'{loss:.4f}'}" for lr, loss in self.losses)
        return (
            f"retrain.recipe.lr: auto takes {self.lr:g}. Loss on {self.num_images} rating images at the start "
            f"{self.start_loss:.4f}, after {self.num_steps} steps at {tried}."
        )


def range_test(
    student: nn.Module,
    train: ImageSet,
    part: ImageSet,
    recipe_at: Callable[[float], Recipe],
    loss: LossFunction,
    seed: int,
    device: torch.device,
    progress: Progress,
    num_loaders: int = 0,
) -> RangeTest:
    """Try rising rates, each with a warm-up and a decay to zero inside a few steps, and choose the best rate.

    The best rate has the lowest loss on a sample of ``part``, not above the loss at the start. Where no rate is as good
    as the start, the smallest rate is chosen. ``student``, which lies on ``device``, is left as it is.

    Args:
        student: The network at the start of its training.
        train: The images to train on.
        part: The images to judge by: the rating part.
        recipe_at: Gives the recipe of the training to come, at a rate.
        loss: The loss of the training to come, which judges too.
        seed: Of the training to come, whose first batches are taken.
        device: Where to train.
        progress: Told the steps of all rates; their number is at most ``max_steps``.
        num_loaders: As for ``Fit``.
    """
    sample = part.first(min(len(part), NUM_IMAGES))
    num_steps = max_steps(len(train), recipe_at(RATES[0]).batch_size) // len(RATES)
    start_loss = _mean_loss(student, sample, loss, device)
    losses: dict[float, float] = {}
    num_worse = 0
    for index, lr in enumerate(RATES, start=1):
        lowest = min(losses.values(), default=math.inf)
        fit = Fit(
            copy.deepcopy(student), train, recipe_at(lr), "retrain.recipe", seed, device, loss, num_loaders=num_loaders
        )
        losses[lr] = _mean_loss(fit.rehearse(num_steps), sample, loss, device)
        progress(index * num_steps, len(RATES) * num_steps)
        num_worse = 0 if losses[lr] <= lowest else num_worse + 1
        if num_worse == PATIENCE:
            break
    better = [lr for lr in losses if losses[lr] <= start_loss]
    told = tuple((lr, loss if math.isfinite(loss) else None) for lr, loss in losses.items())
    return RangeTest(min(better, key=losses.__getitem__, default=RATES[0]), start_loss, told, num_steps, len(sample))


def max_steps(num_train: int, batch_size: int) -> int:
    """Return the number of steps that a range test takes at most."""
    return len(RATES) * min(NUM_STEPS, num_batches(num_train, batch_size))


@torch.no_grad()
def _mean_loss(network: nn.Module, part: ImageSet, loss: LossFunction, device: torch.device) -> float:
    """The mean loss over a part's images, infinite where it is NaN."""
    network.eval()
    total = 0.0
    labels = part.labels.split(room_for(part.in_shape))
    for images, some in zip(part.normalized_batches(), labels, strict=True):
        total += len(some) * float(loss(network, Batch(images.to(device), some.to(device))))
    return math.inf if math.isnan(total) else total / len(part)
