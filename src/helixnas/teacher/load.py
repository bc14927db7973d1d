"""The trained network, from timm, with weights from timm or from a file."""

import difflib
from pathlib import Path
from typing import Any

import timm
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from helixnas.config.schema import Teacher
from helixnas.errors import ArtifactError, ConfigError


def create(settings: Teacher, in_channels: int, num_classes: int) -> nn.Module:
    """The teacher that ``params.yaml`` names, on the CPU.

    Its weights are timm's (``pretrained``), those of a safetensors file (``weights``), or fresh. ConfigError for a
    name or an argument that timm does not know, ArtifactError for weights that do not fit.
    """
    name = settings.source.removeprefix("timm:")
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        raise ConfigError(
            f"teacher.source must name a model of timm, but is {settings.source!r}. Near: {', '.join(near)}."
        )
    network = _create(name, settings, dict(settings.model_args), in_channels, num_classes)
    if settings.weights is not None:
        load_weights(network, Path(settings.weights))
    return network


def _create(name: str, settings: Teacher, args: dict[str, Any], in_channels: int, num_classes: int) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(
            name, pretrained=settings.pretrained, in_chans=in_channels, num_classes=num_classes, **args
        )
    except (TypeError, AssertionError) as error:
        raise ConfigError(f"teacher.model_args must be what timm's {name} takes, but: {error}") from error
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"teacher.pretrained asks for timm's weights of {name}, but they cannot be had: {error}. "
            "Fill timm's cache where there is a network, name a file in teacher.weights, or set pretrained: false."
        ) from error
    return network


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a safetensors file of the network's own names; ArtifactError if it is missing or does not fit."""
    if not path.is_file():
        raise ArtifactError(f"teacher.weights must be a file, but {path} is not. Correct the path, or set it to null.")
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ArtifactError(f"teacher.weights must fit the teacher, but {path} does not: {reason}") from error
