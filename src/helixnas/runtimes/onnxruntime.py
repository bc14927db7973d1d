"""ONNX Runtime on the CPU: what runs the student's file where it is deployed."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from helixnas.runtimes.graph import Graphs
from helixnas.runtimes.runtime import Run, Runtime, timed


class OnnxRuntime(Runtime):
    """Exports networks to ONNX, and runs them with one thread between operators."""

    def __init__(self, num_threads: int) -> None:
        super().__init__(num_threads)
        self._graphs = Graphs()

    @property
    def title(self) -> str:
        """ONNX Runtime's version."""
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__}"

    def open(self, network: nn.Module, inputs: Tensor) -> Run:
        """Export a network, and time passes of its file."""
        session = new_session(self._graphs(network, inputs).SerializeToString(), self.num_threads)
        (name,) = [each.name for each in session.get_inputs()]
        feed = {name: inputs.cpu().numpy()}
        return timed(lambda: session.run(None, feed))


def new_session(model: Path | bytes, num_threads: int) -> Any:
    """Open an ONNX file, or its bytes, in ONNX Runtime, on the CPU with ``num_threads`` threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = num_threads, 1
    options.log_severity_level = 3  # errors; below that come remarks on optimisations
    given = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])


RUNTIME = OnnxRuntime
