"""Networks as ONNX, and what runs them while they are measured: one file a runtime."""

from helixnas.runtimes.device import Device
from helixnas.runtimes.file import file_latency
from helixnas.runtimes.graph import INPUT, OPSET, Graphs, to_onnx
from helixnas.runtimes.onnxruntime import new_session
from helixnas.runtimes.recording import cannot_export, find_culprit, innermost, record, silence
from helixnas.runtimes.registry import open_runtime, runtime_title
from helixnas.runtimes.runtime import Run, Runtime, timed
from helixnas.runtimes.single_stream import NUM_QUERIES, Latency, single_stream
from helixnas.runtimes.torch import threads

__all__ = [
    "INPUT",
    "NUM_QUERIES",
    "OPSET",
    "Device",
    "Graphs",
    "Latency",
    "Run",
    "Runtime",
    "cannot_export",
    "file_latency",
    "find_culprit",
    "innermost",
    "new_session",
    "open_runtime",
    "record",
    "runtime_title",
    "silence",
    "single_stream",
    "threads",
    "timed",
    "to_onnx",
]
