"""What every kind of cost must say of itself."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:  # torch takes a second to load, and who prints a cost does not need it
    from torch import nn


class CostKind(ABC):
    """One kind of cost of a network, such as its multiply-adds; low is good, and 0 is the least.

    Subclass ``CountedKind`` or ``MeasuredKind``, in a file of this folder that is called as the kind is.

    Attributes:
        title: The kind in words, for the head of a table.
        unit: The unit for people; "" for a plain number.
        combine: How the costs of a network's parts make the cost of the network: by their sum or by their maximum.
        is_measured: Whether the cost is measured on this machine, so that it comes out differently each time.
    """

    title: ClassVar[str]
    unit: ClassVar[Literal["", "ms", "bytes"]] = ""
    combine: ClassVar[Literal["sum", "max"]] = "sum"
    is_measured: ClassVar[bool]

    @property
    def name(self) -> str:
        """The name in params.yaml, in tables and in the registry: that of the file, with the unit at its end."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def is_max(self) -> bool:
        """Whether parts combine by their maximum."""
        return self.combine == "max"


class CountedKind(CostKind):
    """A kind that is counted on a network's modules: the same each time, on any machine."""

    is_measured: ClassVar[bool] = False

    @abstractmethod
    def count(self, network: "nn.Module", in_shape: tuple[int, ...]) -> int:
        """Count the cost of one forward pass of one image.

        Args:
            network: In eval mode. No gradient is recorded.
            in_shape: Shape of the input without the batch, such as [C, H, W].
        """


class MeasuredKind(CostKind):
    """A kind that is measured on this machine, or on the user's device."""

    is_measured: ClassVar[bool] = True

    @abstractmethod
    def measure(
        self,
        runs: Sequence[Callable[[], float]],
        num_rounds: int,
        quantile: float,
        progress: Callable[[int, int], None],
    ) -> list[float]:
        """Measure networks beside each other, so that a busy moment of the machine does not harm one of them alone.

        Args:
            runs: Each runs one forward pass of one network in the runtime of ``cost.latency``, and returns the
                milliseconds that the pass took.
            num_rounds: How often each network is measured.
            quantile: Which quantile of these measurements to take, 0 to 1.
            progress: Told (done, total) after each round.

        Returns:
            The cost of each network.
        """
