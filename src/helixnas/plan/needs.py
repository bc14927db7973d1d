"""What a plan starts from, and what it says of each stage: plain values."""

import math
from dataclasses import dataclass

from helixnas.search_space import Architecture


@dataclass(frozen=True, slots=True)
class Workload:
    """The needs of one stage.

    Attributes:
        stage: Name of the stage in dvc.yaml.
        time_s: Seconds on this machine.
        memory_bytes: Memory at its peak.
        disk_bytes: Bytes that the stage leaves on disk.
    """

    stage: str
    time_s: float
    memory_bytes: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many images there are, and their shape.

    Attributes:
        num_train: Images in the train part.
        num_rating: Images in the rating part.
        num_test: Images in the test part.
        in_shape: Of one image: channels, height, width.
    """

    num_train: int
    num_rating: int
    num_test: int
    in_shape: tuple[int, int, int]

    @property
    def bytes_per_image(self) -> int:
        """Bytes of one uint8 image."""
        return math.prod(self.in_shape)


@dataclass(frozen=True, slots=True)
class Likely:
    """A student with which a run may well end, as large as the budget lets it be.

    Attributes:
        largest: The architecture with the most madds.
        share: The student's size as a share (0 to 1) of ``largest``.
        num_obvious: How many obvious ways to leave layers out are within the budget.
    """

    largest: Architecture
    share: float
    num_obvious: int
