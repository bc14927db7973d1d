"""What a supernet learns from: the interface of each way to supervise, one file of this room a way.

``distill.supervision`` names the file, which defines ``new(sources)``. It is imported by that name, so that a new way
edits no file that another way runs.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from helixnas.config.schema import Distill
from helixnas.cut import CutTeacher
from helixnas.data import ImageSet
from helixnas.distill.batches import FeatureBatches
from helixnas.progress import Log
from helixnas.search_space import BlockSpace, Path
from helixnas.student import BlockSupernet


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """What a supervision may draw on.

    Attributes:
        teacher: The cut teacher, on ``device``; of a supervision that does not read the teacher, the same network
            before it learnt anything.
        moments: Function from a block_id to mean and variance of the teacher's block output over the train part,
            float64 [C] each.
        train: The images of the train part; without labels that a teacher gave, if the teacher is not read.
        settings: The section ``distill`` of params.yaml.
        seed: Of the order of images and of their augmentation, the same for all blocks.
        device: Where supernets train.
        num_loaders: How many workers augment images ahead of the step.
    """

    teacher: CutTeacher
    moments: Callable[[int], tuple[Tensor, Tensor]]
    train: ImageSet
    settings: Distill
    seed: int
    device: torch.device
    num_loaders: int


class Lesson(ABC):
    """What one block's supernet learns, step by step."""

    beside: nn.Module = nn.Module()
    """What is trained, resumed and saved beside the supernet, such as a predictor or a moving average of the weights.

    Its parameters that require a gradient learn at the rate of fresh candidates.
    """
    is_untaught: bool = False
    """Whether the layers that the supernet copied from the network are as untrained as all its others.

    Then they learn at the rate of fresh candidates as well.
    """

    @abstractmethod
    def losses(self, batch: Any, paths: Sequence[Path]) -> Iterator[Tensor]:
        """Yield the loss of each path of a step, a scalar, in the order of the paths.

        The trainer goes backward through each loss before it asks for the next, so that the graph of one path is held
        at a time. What all paths of the step share, such as the mean of their outputs, is computed before the first.
        Random numbers come from torch's global generators, which the trainer seeds anew for each path.
        """

    def after_step(self, share: float) -> None:  # noqa: B027  # most ways have nothing to do
        """Follow the weights after the optimizer has moved them.

        Args:
            share: Steps done, this one included, as a share of all steps of the training: above 0, at most 1.
        """

    def end_epoch(self, epoch: int, log: Log) -> None:  # noqa: B027  # most ways have nothing to do
        """Log what was measured in an epoch beside the loss, before the state is saved.

        Args:
            epoch: Number of the epoch, from 0.
            log: Takes name, value and epoch.

        Raises:
            CollapseError: The supernet learns nothing any more, so that its ratings would mean nothing.
        """


class Supervision(ABC):
    """Where the blocks of a run get their batches and their losses from."""

    num_steps: int
    """Batches in one epoch."""
    features: FeatureBatches | None = None
    """The teacher's features that batches are made of, which the stage may keep on disk; None where there are none."""

    @abstractmethod
    def batches(self, epoch: int, block_ids: Sequence[int]) -> Iterable[Sequence[Any]]:
        """Return the steps of an epoch: for each step one batch for each of ``block_ids``, in that order.

        A batch is a dataclass of tensors, which the lessons of the same supervision understand. It depends on epoch,
        step and block alone: not on the other blocks that are asked for, nor on the process.
        """

    @abstractmethod
    def lesson(self, supernet: BlockSupernet) -> Lesson:
        """Start a fresh supernet where it shall learn from, and return what it learns."""


def reads_teacher(name: str) -> bool:
    """Tell whether a supervision reads what the teacher learnt. A file of this room that does not sets READS_TEACHER.

    Args:
        name: The value of ``distill.supervision``.
    """
    return getattr(_module(name), "READS_TEACHER", True)


def require_learnable(name: str, block: BlockSpace) -> None:
    """Require that a supervision can train a supernet of ``block``; the file of one that cannot train any asks itself.

    Args:
        name: The value of ``distill.supervision``.
        block: The space of the block.

    Raises:
        ConfigError: It cannot.
    """
    module = _module(name)
    if hasattr(module, "require_learnable"):
        module.require_learnable(block)


def open_supervision(name: str, sources: Sources) -> Supervision:
    """Make the supervision that ``distill.supervision`` names.

    Args:
        name: Name of a file of this room that defines ``new(sources)``.
        sources: What it may draw on.
    """
    made: Supervision = _module(name).new(sources)
    return made


def _module(name: str) -> Any:
    return importlib.import_module(f"helixnas.distill.{name}")
