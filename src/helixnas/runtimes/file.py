"""The latency of any ONNX file, measured as the students' files are."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from helixnas.errors import ConfigError
from helixnas.runtimes.onnxruntime import OnnxRuntime, new_session
from helixnas.runtimes.runtime import timed
from helixnas.runtimes.single_stream import single_stream

FACTS = "export.json"
"""The file beside a student's files that holds their checksums."""
TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
TYPES |= {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8}  # type: ignore[dict-item]


def file_latency(
    path: Path, batch_size: int, num_queries: int, max_s: float | None, num_threads: int
) -> dict[str, Any]:
    """Measure an ONNX file on ONNX Runtime, one query after another.

    Args:
        path: Of the file.
        batch_size: Images of a query, where the file leaves that open.
        num_queries: How many.
        max_s: Ends earlier, after so many seconds.
        num_threads: Of ONNX Runtime.

    Returns:
        p50_ms, p90_ms, num_queries, batch_size and runtime.

    Raises:
        ConfigError: The file is missing, was changed after the export wrote it, is no ONNX file that ONNX Runtime
            reads, or does not take random inputs of this batch size.
    """
    if not path.is_file():
        raise ConfigError(f"FILE must be an ONNX file, but {path} does not exist. Try artifacts/export/student.onnx.")
    _require_unchanged(path)
    try:
        session = new_session(path, num_threads)
    except Exception as error:  # ONNX Runtime has an exception for each fault of a file
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"{path} must be an ONNX file, but ONNX Runtime cannot read it: {reason}") from error
    feed = {each.name: _random(path, each, batch_size) for each in session.get_inputs()}
    try:
        session.run(None, feed)
    except Exception as error:  # as above
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"{path} must run on --batch-size {batch_size}, but does not: {reason}. Try another --batch-size."
        ) from error
    stream = single_stream(timed(lambda: session.run(None, feed)), num_queries, max_s)
    title = f"{OnnxRuntime(num_threads).title}, CPU, {num_threads} thread{'s' * (num_threads > 1)}"
    return {**asdict(stream), "batch_size": batch_size, "runtime": title}


def _require_unchanged(path: Path) -> None:
    """Compare a student's file with the checksum that the export wrote beside it, if there is one."""
    try:
        value = json.loads(path.with_name(FACTS).read_text(encoding="utf-8"))
        wanted = value["value"]["sha256"][path.name]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
        raise ConfigError(
            f"{path} was changed after it was exported: its checksum is not that of {path.with_name(FACTS)}. "
            "Run `dvc repro export`, or copy the file elsewhere to measure it as it is."
        )


def _random(path: Path, given: Any, batch_size: int) -> np.ndarray:
    """Random values for an input; the first dimension is the batch where the file leaves it open."""
    if given.type not in TYPES:
        raise ConfigError(f"{path} must take numbers, but its input {given.name} is {given.type}. Name another file.")
    first, *others = given.shape or [batch_size]
    if isinstance(first, int) and first != batch_size:
        raise ConfigError(
            f"{path} takes batches of {first} alone, but --batch-size is {batch_size}. Set --batch-size {first}."
        )
    unknown = [size for size in others if not isinstance(size, int)]
    if unknown:
        raise ConfigError(
            f"{path} must leave no size open but the batch, but its input {given.name} is {given.shape}. "
            "Export it with fixed sizes."
        )
    shape = [batch_size, *others] if given.shape else []
    values: np.ndarray = np.random.default_rng(0).random(shape).astype(TYPES[given.type])
    return values
