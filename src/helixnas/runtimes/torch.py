"""Eager PyTorch, on the device that the network is on. What a user deploys is mostly faster."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from helixnas.runtimes.runtime import Run, Runtime, timed


class Torch(Runtime):
    """Runs the modules themselves: nothing is exported."""

    @property
    def title(self) -> str:
        """PyTorch's version."""
        return f"PyTorch {torch.__version__}"

    def open(self, network: nn.Module, inputs: Tensor) -> Run:
        """Time eager passes; on a GPU each pass ends with its work."""

        @torch.inference_mode()
        def forward() -> None:
            network(inputs)
            if inputs.is_cuda:
                torch.cuda.synchronize()

        with_threads = timed(forward)

        def run() -> float:
            with threads(self.num_threads):
                return with_threads()

        return run


@contextmanager
def threads(num_threads: int) -> Iterator[None]:
    """Let torch use so many threads in the body."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


RUNTIME = Torch
