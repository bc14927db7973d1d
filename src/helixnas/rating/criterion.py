"""What gives a path its number: the interface of each criterion, one file of this room a criterion.

``rating.criterion`` names the file, which defines ``new(sources)``. It is imported by that name, so that a new
criterion edits no file that another criterion runs.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from helixnas.config.schema import Rating
from helixnas.cut import CutTeacher
from helixnas.search_space import Path
from helixnas.student import BlockSupernet
from helixnas.teacher import BlockBatch


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """What a criterion may read.

    Attributes:
        supernet: The trained supernet of the block, in eval mode.
        beside: What the supervision saved beside its weights; empty if nothing.
        teacher: The cut teacher, in eval mode: with its later blocks and its head, the tail behind the block. For a
            criterion that does not read the teacher, the same network before it learnt anything.
        moments: Mean and variance of the teacher's block output over the train part, float64 [C] each; None for a
            criterion that does not read the teacher.
        settings: The section ``rating`` of params.yaml.
    """

    supernet: BlockSupernet
    beside: Mapping[str, Tensor]
    teacher: CutTeacher
    moments: tuple[Tensor, Tensor] | None
    settings: Rating


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """The end of a path in the tree, with BatchNorm recalibrated along the path. Read it before the next leaf.

    Attributes:
        path: The path.
        calibration: The path's outputs on the calibration images, [M, ...]; None for the teacher's own block, whose
            statistics stay as they are.
        outputs: The path's outputs on the images of each batch, [N, ...] each, run as they are asked for.
    """

    path: Path
    calibration: Tensor | None
    outputs: Iterator[Tensor]


class Walk(Protocol):
    """Function that walks down the tree of a block and gives the leaf of every path, in the order of ``paths()``."""

    def __call__(self, supernet: BlockSupernet | None = None) -> Iterator[Leaf]:
        """Walk down another supernet of the same block than the one that is rated, if one is given."""
        ...


class Criterion(Protocol):
    """How good a path of a block is, as one number: the mean over images of what ``numbers`` gives. Low is good.

    The search adds up the numbers of the blocks of an architecture to its ``predicted_loss``. So their unit must be one
    in which blocks add up, such as a share of a variance, or nats. A criterion that compares with the teacher gives the
    teacher's own block 0.
    """

    name: str
    """The value of ``rating.criterion``, kept in the table: numbers of different criteria do not add up."""
    constant: float | None
    """The number of the best constant output, which every useful path is below; None where there is no such number."""

    def read(self, images: Tensor) -> BlockBatch:
        """Compute all that is read of normalised images [N, C, H, W], once for all paths.

        An image may have several inputs, such as views of it.

        Returns:
            The inputs of the block, and as targets what ``numbers`` compares with.
        """
        ...

    def numbers(self, walk: Walk, batches: Sequence[BlockBatch]) -> Iterator[Iterator[Tensor]]:
        """Yield, for each path in order, the number of each image: float64 [N] for each of ``batches``.

        A criterion that needs all paths first, such as the distance to their mean, walks twice. An image's number does
        not depend on the other images of the batches.
        """
        ...


def reads_teacher(name: str) -> bool:
    """Tell whether a criterion reads what the teacher learnt. A file of this room that does not sets READS_TEACHER.

    Args:
        name: The value of ``rating.criterion``.
    """
    return getattr(_module(name), "READS_TEACHER", True)


def open_criterion(name: str, sources: Sources) -> Criterion:
    """Make the criterion that ``rating.criterion`` names.

    Args:
        name: Name of a file of this room that defines ``new(sources)``.
        sources: What it may read.
    """
    made: Criterion = _module(name).new(sources)
    return made


def _module(name: str) -> Any:
    return importlib.import_module(f"helixnas.rating.{name}")
