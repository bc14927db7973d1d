"""Read the weights of a network from a file of safetensors or of torch. Nothing in a file is ever run."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from helixnas.errors import ArtifactError

WRAPPINGS = ("state_dict", "model", "model_state_dict", "net")
"""Keys under which a checkpoint may keep the weights, if they are not at its top."""
PREFIX = "module."
"""The text that DataParallel puts before every name."""
NUM_NAMED = 3
"""The most names of tensors that an error lists for each fault."""


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a ``.safetensors`` file, or a state dict that torch saved, into ``network``; names and shapes must fit.

    Raises:
        ArtifactError: The file is missing, would need to run code, or does not fit.
    """
    if not os.path.isfile(path):  # noqa: PTH113  # unlike Path's, False too where the system refuses to look
        raise ArtifactError(f"teacher.weights must be a file, but {path} is not. Correct the path, or set it to null.")
    weights = _read(path)
    fault = _misfit(network.state_dict(), weights)
    if fault:
        raise ArtifactError(
            f"teacher.weights must fit the teacher, but {path} does not: {fault}. "
            "Correct teacher.source, teacher.model_args or the file."
        )
    network.load_state_dict(weights)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # its text would tell users how to run code in the file
        raise _unreadable(path, "it is damaged, or would need to run code") from error
    except Exception as error:  # torch reads any other file as a pickle, and may then raise anything
        raise _unreadable(path, " ".join(f"{type(error).__name__}: {error}".split())[:200]) from error
    for key in WRAPPINGS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    named = {str(name): value for name, value in found.items()} if isinstance(found, Mapping) else {}
    has_prefix = all(name.startswith(PREFIX) for name in named)
    weights = {name.removeprefix(PREFIX) if has_prefix else name: value for name, value in named.items()}
    if not weights or not all(map(_is_plain, weights.values())):
        raise ArtifactError(
            f"teacher.weights must hold plain tensors by name, but {path} holds other things too. "
            "Save it anew: torch.save(network.state_dict(), ...)."
        )
    return weights


def _unreadable(path: Path, reason: str) -> ArtifactError:
    return ArtifactError(
        f"teacher.weights must be safetensors, or a state dict and nothing else, but {path} is not: {reason}. "
        "Save it anew: torch.save(network.state_dict(), ...)."
    )


def _is_plain(value: Any) -> bool:
    """Whether the value is a tensor of real numbers that are all in memory."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_meta or value.is_complex() or value.is_quantized)
    )


def _misfit(wanted: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> str:
    """Say in a few words which names or shapes do not fit; empty if all fit."""
    shapes = [name for name in wanted if name in got and wanted[name].shape != got[name].shape]
    misshapen = [f"{name} is {list(got[name].shape)} for {list(wanted[name].shape)}" for name in shapes]
    faults = {
        "it lacks": [name for name in wanted if name not in got],
        "it has too": [name for name in got if name not in wanted],
        "not finite": [name for name, tensor in got.items() if not tensor.float().isfinite().all()],
        "of another shape": misshapen,
    }
    return "; ".join(
        f"{what} {', '.join(names[:NUM_NAMED])}"
        + (f" and {len(names) - NUM_NAMED} more" if len(names) > NUM_NAMED else "")
        for what, names in faults.items()
        if names
    )
