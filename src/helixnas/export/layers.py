"""Layers of torch.nn that stand for an operator and its weights in an exported graph."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a written module.

    Attributes:
        prefix: What the student calls the layer, such as ``blocks.0.conv``.
        code: The call that makes it, such as ``nn.Conv2d(8, 16, 3)``.
        tensors: Its own names of its tensors, such as ``weight``, each with the student's.
    """

    prefix: str
    code: str
    tensors: dict[str, str] = field(default_factory=dict)


Named = Callable[[Any], str | None]
"""Gives the student's name of the tensor that an argument stands for; None where a step computed it."""


def layer_of(node: fx.Node, named: Named) -> tuple[Layer, fx.Node] | None:
    """Find the layer that a step stands for, and the step's input; None where it is no layer with weights of its own.

    Args:
        node: A call of a function.
        named: Of the exported program.
    """
    make = _MAKERS.get(str(node.target))
    schema: Any = node.target
    if make is None:
        return None
    arguments = {
        argument.name: node.kwargs.get(argument.name, argument.default_value) for argument in schema._schema.arguments
    }
    arguments |= dict(zip(arguments, node.args, strict=False))
    names = {key: arguments.get(key) for key in ("weight", "bias", "running_mean", "running_var")}
    tensors = {key: named(value) for key, value in names.items() if value is not None}
    found = {key: name for key, name in tensors.items() if name is not None}
    if len(found) < len(tensors) or "weight" not in found:
        return None
    prefix = found["weight"].rpartition(".")[0]
    if not prefix or any(name != f"{prefix}.{key}" for key, name in found.items()):
        return None
    code = make(arguments, arguments["weight"].meta["val"], "bias" in found)
    source = arguments["input"]
    return None if code is None or not isinstance(source, fx.Node) else (Layer(prefix, code, found), source)


def _conv(a: dict[str, Any], weight: Tensor, has_bias: bool) -> str | None:
    num_axes = weight.ndim - 2
    parts = [
        str(weight.shape[1] * a["groups"]),
        str(weight.shape[0]),
        _size(list(weight.shape[2:])),
        *_given("stride", _size(a["stride"]), "1"),
        *_given("padding", repr(a["padding"]) if isinstance(a["padding"], str) else _size(a["padding"]), "0"),
        *_given("dilation", _size(a["dilation"]), "1"),
        *_given("groups", str(a["groups"]), "1"),
        *_given("bias", str(has_bias), "True"),
    ]
    return f"nn.Conv{num_axes}d({', '.join(parts)})"


def _batch_norm(a: dict[str, Any], weight: Tensor, has_bias: bool) -> str | None:
    if not has_bias or a["running_mean"] is None or a["training"]:
        return None
    num_axes = {2: 1, 3: 1, 4: 2, 5: 3}[a["input"].meta["val"].ndim]
    parts = [
        str(len(weight)),
        *_given("eps", repr(a["eps"]), "1e-05"),
        *_given("momentum", repr(a["momentum"]), "0.1"),
    ]
    return f"nn.BatchNorm{num_axes}d({', '.join(parts)})"


def _linear(a: dict[str, Any], weight: Tensor, has_bias: bool) -> str | None:
    parts = [str(weight.shape[1]), str(weight.shape[0]), *_given("bias", str(has_bias), "True")]
    return f"nn.Linear({', '.join(parts)})"


def _layer_norm(a: dict[str, Any], weight: Tensor, has_bias: bool) -> str | None:
    parts = [
        _size(a["normalized_shape"]),
        *_given("eps", repr(a["eps"]), "1e-05"),
        *_given("bias", str(has_bias), "True"),
    ]
    return f"nn.LayerNorm({', '.join(parts)})"


def _group_norm(a: dict[str, Any], weight: Tensor, has_bias: bool) -> str | None:
    return f"nn.GroupNorm({a['num_groups']}, {len(weight)}, eps={a['eps']!r})" if has_bias else None


_MAKERS: dict[str, Callable[[dict[str, Any], Tensor, bool], str | None]] = {
    "aten.conv1d.default": _conv,
    "aten.conv2d.default": _conv,
    "aten.conv2d.padding": _conv,
    "aten.conv3d.default": _conv,
    "aten.batch_norm.default": _batch_norm,
    "aten.linear.default": _linear,
    "aten.layer_norm.default": _layer_norm,
    "aten.group_norm.default": _group_norm,
}


def _size(value: int | Sequence[int]) -> str:
    """A size by axis; one number where all are the same."""
    sizes = [value] if isinstance(value, int) else list(value)
    return str(sizes[0]) if len(set(sizes)) == 1 else f"({', '.join(map(str, sizes))})"


def _given(name: str, value: str, default: str) -> list[str]:
    return [] if value == default else [f"{name}={value}"]
