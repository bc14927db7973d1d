"""What every runtime must do: open a network, and time its passes."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from helixnas.errors import ConfigError

Run = Callable[[], float]
"""One forward pass of one batch through an opened network. It returns the milliseconds that the pass took."""


class Runtime(ABC):
    """Runs networks while they are measured.

    Subclass it in a file of this folder that is called as the runtime is, with the class as ``RUNTIME``.

    Args:
        num_threads: Threads of one pass.

    Attributes:
        package: What pip installs for it beside HelixNAS itself; "" where nothing is needed.
        is_repeated: Whether passes cost so little that several are run in a row.
    """

    package: ClassVar[str] = ""
    is_repeated: ClassVar[bool] = True

    def __init__(self, num_threads: int) -> None:
        self.num_threads = num_threads

    @property
    @abstractmethod
    def title(self) -> str:
        """The runtime with its version, for people."""

    @abstractmethod
    def open(self, network: nn.Module, inputs: Tensor) -> Run:
        """Prepare a network for passes of one batch.

        Args:
            network: In eval mode.
            inputs: The batch.

        Raises:
            ConfigError: A part of the network cannot be exported for the runtime; the message names it.
        """


def timed(forward: Callable[[], object]) -> Run:
    """Make a Run of a pass on this machine."""

    def run() -> float:
        start = time.perf_counter_ns()
        forward()
        return (time.perf_counter_ns() - start) / 1e6

    return run


def missing(name: str, package: str) -> ConfigError:
    """Say that the runtime called ``name`` is not installed, and how it is."""
    return ConfigError(
        f"cost.latency.runtime is {name}, so the package {package} must be installed, but is not. "
        f"Run: pip install 'helixnas[{name}]', or set cost.latency.runtime: onnxruntime."
    )
