"""OpenVINO on the CPU, for machines with Intel's processors; an optional extra. It reads the ONNX file."""

from torch import Tensor, nn

from helixnas.runtimes.graph import Graphs
from helixnas.runtimes.runtime import Run, Runtime, missing, timed


class OpenVino(Runtime):
    """Compiles networks for short latency of one request at a time."""

    package = "openvino"

    def __init__(self, num_threads: int) -> None:
        super().__init__(num_threads)
        try:
            import openvino
        except ImportError as error:
            raise missing("openvino", self.package) from error
        self._openvino, self._core, self._graphs = openvino, openvino.Core(), Graphs()

    @property
    def title(self) -> str:
        """OpenVINO's version."""
        return f"OpenVINO {self._openvino.__version__}"

    def open(self, network: nn.Module, inputs: Tensor) -> Run:
        """Export a network, and time requests to it."""
        model = self._core.read_model(self._graphs(network, inputs).SerializeToString())
        settings = {"INFERENCE_NUM_THREADS": self.num_threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
        request = self._core.compile_model(model, "CPU", settings).create_infer_request()
        feed = [inputs.cpu().numpy()]
        return timed(lambda: request.infer(feed))


RUNTIME = OpenVino
