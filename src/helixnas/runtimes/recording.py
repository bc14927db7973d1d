"""Record networks as graphs, and name the part that cannot be recorded or converted."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

REMEDY = (
    "Write it with torch's own operators, without loops or branches that depend on values, or leave it out: "
    "search_space.operations and search_space.token_operations name custom operations, teacher.source the teacher."
)


def record(network: nn.Module, inputs: tuple[Tensor, ...], *, any_batch: bool = True) -> ExportedProgram:
    """Record a forward pass, for batches of any size or of this one; any exception where that cannot be done."""
    shapes = tuple({0: Dim.DYNAMIC} for _ in inputs) if any_batch else None
    with torch.no_grad(), silence():
        return torch.export.export(network, inputs, dynamic_shapes=shapes)


def find_culprit(
    network: nn.Module, example: Tensor, attempt: Callable[[nn.Module, tuple[Tensor, ...]], object]
) -> str | None:
    """Name the smallest module of a network that ``attempt`` fails with; None if it fails with none alone.

    Args:
        network: In eval mode.
        example: Input of the network.
        attempt: Takes a module and its inputs, and raises an exception where it cannot handle them.
    """
    inputs: dict[nn.Module, tuple[Tensor, ...]] = {}
    handles = [
        module.register_forward_pre_hook(lambda module, given: inputs.setdefault(module, given) and None)
        for module in network.modules()
    ]
    try:
        with torch.no_grad():
            network(example)
    finally:
        for handle in handles:
            handle.remove()

    def fails(module: nn.Module) -> bool:
        given = inputs.get(module, ())
        if not given or not all(isinstance(value, Tensor) for value in given):
            return False
        try:
            attempt(module, given)
        except Exception:
            return True
        return False

    name, current = "", network
    while True:
        failing = next(((n, m) for n, m in current.named_children() if fails(m)), None)
        if failing is None:
            return f"{type(current).__name__} ({name})" if name else None
        name, current = (f"{name}.{failing[0]}" if name else failing[0]), failing[1]


def cannot_export(culprit: str | None, tool: str, error: Exception) -> str:
    """Say that an operation cannot be exported, and what to do."""
    reason = " ".join(str(error).split())[:300]
    return f"The student must be exported, but {tool} cannot export {culprit or 'it'}: {reason}. {REMEDY}"


@contextmanager
def silence() -> Iterator[None]:
    """Silence the pages that exporters print, log and warn of; what they raise says enough."""
    loggers = [logging.getLogger(name) for name in ("torch", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def innermost(error: BaseException) -> Exception:
    """The cause at the bottom of an exporter's error, which names the operator."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error if isinstance(error, Exception) else RuntimeError(str(error))
