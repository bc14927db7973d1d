"""Prove exported files: run each on images, and compare what it answers with what the student answers."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from helixnas.archive import load_exported
from helixnas.data import ImageSet, room_for
from helixnas.errors import ExportError
from helixnas.runtimes import Latency, new_session, single_stream, timed

MIN_AGREEMENT = 0.999
"""The share of images of which a file must name the same class as the student."""
MAX_STREAM_S = 20.0
"""Seconds after which the queries of a slow file end."""
Runner = Callable[[Tensor], Tensor]
"""Turns images float32 [N, C, H, W] with pixels from 0 to 1 into logits [N, classes]."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a file does with the test part, beside the student in torch.

    Attributes:
        file: Its name.
        runtime: What ran it.
        num_bytes: Its size, with its weights.
        max_difference: The largest difference of a logit from the student's, as a share of the student's largest.
        agreement: The share of images of which it names the same class as the student, 0 to 1.
        top1_acc: The share of images that it gets right, 0 to 1.
        latency: Of one image on this machine.
    """

    file: str
    runtime: str
    num_bytes: int
    max_difference: float
    agreement: float
    top1_acc: float
    latency: Latency

    def require(self, tolerance: float) -> None:
        """Raise ExportError unless the file computes what the student does, up to ``tolerance``."""
        remedy = "Raise export.tolerance if that is of no matter to you; else leave out the operation that differs."
        if not self.max_difference <= tolerance:  # NaN is no agreement
            raise ExportError(
                f"{self.file} must give the student's logits up to a share of {tolerance:g} (export.tolerance), "
                f"but differs by {self.max_difference:.3g} on the test part. {remedy}"
            )
        if not self.agreement >= MIN_AGREEMENT:
            raise ExportError(
                f"{self.file} must name the student's class of {MIN_AGREEMENT:.1%} of the test part, but does of "
                f"{self.agreement:.2%}. Leave out the operation that differs (search_space.operations)."
            )


def open_file(path: Path, num_threads: int) -> Runner:
    """Open an exported file as those do who deploy it; ``num_threads`` are ONNX Runtime's."""
    if path.suffix == ".onnx":
        session = new_session(path, num_threads)
        (name,) = [each.name for each in session.get_inputs()]
        return lambda images: torch.from_numpy(session.run(None, {name: images.numpy()})[0])
    if path.suffix == ".py":
        spec = importlib.util.spec_from_file_location("model", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        plain: Runner = module.load(path.with_name("student.safetensors"))
        return plain
    return load_exported(path.read_bytes(), path)


def runtime_of(path: Path, num_threads: int) -> str:
    """Say what runs a file, for readers."""
    name = "ONNX Runtime" if path.suffix == ".onnx" else "PyTorch"
    number = version("onnxruntime") if path.suffix == ".onnx" else torch.__version__
    return f"{name} {number}, CPU, {num_threads} thread{'s' * (num_threads > 1)}"


@torch.inference_mode()
def logits(run: Runner, part: ImageSet) -> Tensor:
    """Compute the logits [N, classes] of a part's images."""
    return torch.cat([run(part.read(rows).float() / 255) for rows in part.batches(room_for(part.in_shape))])


def accuracy(answers: Tensor, part: ImageSet) -> float:
    """Compute the top-1 accuracy (0 to 1) of logits [N, classes]."""
    return float((answers.argmax(dim=1) == part.labels).double().mean())


def prove(path: Path, run: Runner, student: Tensor, test: ImageSet, latency: Latency, num_threads: int) -> Proof:
    """Run a file on the whole test part.

    Args:
        path: Of the file.
        run: The file, opened.
        student: What the student in torch answers, logits [N, classes].
        test: The test part.
        latency: Of the file.
        num_threads: Of what ran it.
    """
    answers = logits(run, test)
    weights = path.with_name("student.safetensors")
    return Proof(
        file=path.name,
        runtime=runtime_of(path, num_threads),
        num_bytes=path.stat().st_size + (weights.stat().st_size if path.suffix == ".py" else 0),
        max_difference=float((answers - student).abs().max() / student.abs().max().clamp_min(1e-6)),
        agreement=float((answers.argmax(dim=1) == student.argmax(dim=1)).double().mean()),
        top1_acc=accuracy(answers, test),
        latency=latency,
    )


@torch.inference_mode()
def latencies(runners: Mapping[str, Runner], image: Tensor, num_queries: int) -> dict[str, Latency]:
    """Time each runner on one image, one query after another, as a deployed file works (MLPerf's single stream).

    Args:
        runners: By name.
        image: float32 [1, C, H, W].
        num_queries: How often each is asked; a slow one less often, for MAX_STREAM_S seconds at most.
    """
    return {name: single_stream(timed(partial(run, image)), num_queries, MAX_STREAM_S) for name, run in runners.items()}
