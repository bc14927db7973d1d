"""ExecuTorch with XNNPACK on the CPU, as on phones; an optional extra. It takes torch's own recorded graph.

Its Python package offers no number of threads: set that on the device itself, by ``cost.latency.command``.
"""

import torch
from torch import Tensor, nn

from helixnas.errors import ConfigError
from helixnas.runtimes.recording import cannot_export, silence
from helixnas.runtimes.runtime import Run, Runtime, missing, timed


class ExecuTorch(Runtime):
    """Lowers networks to XNNPACK's kernels."""

    package = "executorch"

    def __init__(self, num_threads: int) -> None:
        super().__init__(num_threads)
        try:
            from executorch.runtime import Runtime as Loader
        except ImportError as error:
            raise missing("executorch", self.package) from error
        self._loader = Loader.get()

    @property
    def title(self) -> str:
        """ExecuTorch's version."""
        from importlib.metadata import version

        return f"ExecuTorch {version('executorch')}"

    def open(self, network: nn.Module, inputs: Tensor) -> Run:
        """Lower a network, and time passes of the program."""
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        given = (inputs.cpu(),)
        try:
            with torch.no_grad(), silence():
                recorded = torch.export.export(network.cpu().eval(), given)
                lowered = to_edge_transform_and_lower(recorded, partitioner=[XnnpackPartitioner()]).to_executorch()
        except Exception as error:  # exporters raise what they meet in foreign code
            raise ConfigError(cannot_export(None, "ExecuTorch", error)) from error
        program = self._loader.load_program(lowered.buffer)
        method = program.load_method("forward")

        def forward(_program: object = program) -> None:  # the program must outlive its method
            method.execute(given)

        return timed(forward)


RUNTIME = ExecuTorch
