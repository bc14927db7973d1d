"""Load the trained network: from timm, from torchvision, or from a custom function."""

import difflib
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import nn

from helixnas.config.schema import Teacher
from helixnas.custom import blame, load_custom, reason
from helixnas.errors import ConfigError, HelixError
from helixnas.teacher.weights import load_weights

Shape = tuple[int, int, int]
"""Of one image: channels, height, width."""


def create(settings: Teacher, in_shape: Shape, num_classes: int | None) -> nn.Module:
    """Make the teacher that ``params.yaml`` names, on the CPU, with pretrained, loaded or fresh weights.

    Args:
        settings: The section ``teacher`` of params.yaml.
        in_shape: Of one image: channels, height, width.
        num_classes: None where the images have no labels; then the network keeps its default number of classes.

    Raises:
        ConfigError: The source does not know the name or an argument, or the network does not take such images, or
            gives another number of classes.
        ArtifactError: The weights do not fit.
    """
    kind, _, name = settings.source.partition(":")
    network = SOURCES[kind](name, settings, in_shape, num_classes)
    if settings.weights is not None:
        load_weights(network, Path(settings.weights))
    check(network, in_shape, num_classes)
    return network


@torch.no_grad()
def check(network: nn.Module, in_shape: Shape, num_classes: int | None) -> None:
    """Check that the network turns images [N, *in_shape] into logits [N, num_classes], and leave it in eval mode.

    Args:
        network: Any network.
        in_shape: Of one image: channels, height, width.
        num_classes: None accepts any number of classes from 2 on.

    Raises:
        ConfigError: The network fails on such images, or its output has another shape.
    """
    network.eval()
    size = "x".join(map(str, in_shape))
    try:
        logits = network(torch.zeros(2, *in_shape))
    except HelixError:
        raise
    except Exception as error:  # a custom network may raise anything
        raise ConfigError(
            f"The teacher must take images of {size}, but: {reason(error)}. "
            f"Change data.channels, data.image_size or teacher.model_args. {blame(error)}".rstrip()
        ) from error
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else ()
    if num_classes is None:
        is_right, wanted = shape[:1] == (2,) and len(shape) == 2 and shape[1] > 1, "two classes or more, [2, K]"
    else:
        is_right, wanted = shape == (2, num_classes), f"the {num_classes} classes of the data, [2, {num_classes}]"
    if not is_right:
        raise ConfigError(
            f"The teacher must tell {wanted} for two images, but gives {shape or type(logits).__name__}. "
            "Use the data that it was trained for, or a teacher of so many classes."
        )


def _timm(name: str, settings: Teacher, in_shape: Shape, num_classes: int | None) -> nn.Module:
    import timm  # takes seconds to load, and other teachers need none of it

    if not timm.is_model(name) or ("." in name and name not in timm.list_pretrained()):
        raise _unknown(name, "model of timm", [*timm.list_models(), *timm.list_pretrained()])
    options = {"pretrained": settings.pretrained, "in_chans": in_shape[0], **_told(num_classes)}
    return _called("timm's " + name, settings, lambda: timm.create_model(name, **options, **settings.model_args))


def _torchvision(name: str, settings: Teacher, _in_shape: Shape, num_classes: int | None) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise _unknown(name, "classifier of torchvision", known)
    options = {"weights": "DEFAULT" if settings.pretrained else None, **_told(num_classes)}
    return _called("torchvision's " + name, settings, lambda: models.get_model(name, **options, **settings.model_args))


def _told(num_classes: int | None) -> dict[str, int]:
    return {} if num_classes is None else {"num_classes": num_classes}


def _factory(name: str, settings: Teacher, _in_shape: Shape, _num_classes: int | None) -> nn.Module:
    if settings.pretrained:
        raise ConfigError(f"teacher.pretrained is for timm and torchvision; {name} loads its own, or teacher.weights.")
    network = load_custom(name, "teacher.source", "take teacher.model_args and return")(**settings.model_args)
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{name} must return a torch.nn.Module, but returns {type(network).__name__}.")
    return network


SOURCES: dict[str, Callable[[str, Teacher, Shape, int | None], nn.Module]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "factory": _factory,
}
"""Functions that make a teacher, by the part of ``teacher.source`` before the colon."""


def _called(who: str, settings: Teacher, make: Callable[[], nn.Module]) -> nn.Module:
    try:
        return make()
    except HelixError:
        raise
    except Exception as error:  # another library may raise anything at unexpected arguments
        if settings.pretrained and isinstance(error, OSError | RuntimeError | SafetensorError):
            raise ConfigError(
                f"teacher.pretrained asks for the weights of {who}, but they cannot be had: {reason(error)}. "
                "Fill the cache where there is a network, name a file in teacher.weights, or set pretrained: false."
            ) from error
        given = ", ".join(f"{key}: {value!r}" for key, value in settings.model_args.items())[:200] or "nothing"
        raise ConfigError(
            f"teacher.model_args must be what {who} takes, but: {reason(error)}. "
            f"Given is {given}; change it in params.yaml."
        ) from error


def _unknown(name: str, what: str, known: list[str]) -> ConfigError:
    near = ", ".join(difflib.get_close_matches(name, known, n=3)) or ", ".join(known[:3])
    return ConfigError(f"teacher.source must name a {what}, but is {name!r}. Near: {near}.")
