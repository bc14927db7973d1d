"""Operators of torch's exported graphs, written as a person writes them in a forward pass."""

import operator
import sys
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

import torch
from torch import fx

_INFIX = {
    "aten.add.Tensor": "+",
    "aten.sub.Tensor": "-",
    "aten.mul.Tensor": "*",
    "aten.div.Tensor": "/",
    "aten.matmul.default": "@",
    "aten.add.Scalar": "+",
    "aten.sub.Scalar": "-",
    "aten.mul.Scalar": "*",
    "aten.div.Scalar": "/",
    "aten.pow.Tensor_Scalar": "**",
}
_SIZES: dict[Any, str] = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.floordiv: "//",
    operator.mod: "%",
}
_FUNCTIONS = {
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "gelu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "max_pool2d",
    "mish",
    "pad",
    "relu",
    "relu6",
    "scaled_dot_product_attention",
    "silu",
    "softplus",
}
"""Functions of torch.nn.functional that take the operator's arguments under the same names."""
_INPLACE = {"hardsigmoid_", "hardswish_", "hardtanh_", "leaky_relu_", "mish_", "relu_", "relu6_", "silu_"}
_METHODS = {
    "aten.add_.Tensor": "add_",
    "aten.mul_.Tensor": "mul_",
    "aten.sub_.Tensor": "sub_",
    "aten.div_.Tensor": "div_",
    "aten.clamp.default": "clamp",
    "aten.contiguous.default": "contiguous",
    "aten.expand.default": "expand",
    "aten.flatten.using_ints": "flatten",
    "aten.mean.dim": "mean",
    "aten.permute.default": "permute",
    "aten.reshape.default": "reshape",
    "aten.select.int": "select",
    "aten.sigmoid.default": "sigmoid",
    "aten.softmax.int": "softmax",
    "aten.sqrt.default": "sqrt",
    "aten.squeeze.dim": "squeeze",
    "aten.sum.dim_IntList": "sum",
    "aten.sym_size.int": "size",
    "aten.tanh.default": "tanh",
    "aten.transpose.int": "transpose",
    "aten.unbind.int": "unbind",
    "aten.unflatten.int": "unflatten",
    "aten.unsqueeze.default": "unsqueeze",
    "aten.view.default": "view",
}
"""Operators that are a tensor's method of the same arguments."""

Write = Callable[[Any], str]
"""Turns an argument into code."""


def is_remark(node: fx.Node) -> bool:
    """Whether a step only checks something, and computes nothing."""
    return not node.users and str(node.target).startswith(("aten._assert", "aten.sym_constrain"))


def expression(node: fx.Node, write: Write) -> str:
    """Write a step of the graph as an expression; an operator without a nicer form is called as torch.ops has it.

    Args:
        node: A call of a function.
        write: For its arguments.
    """
    name = str(node.target)
    args = [write(argument) for argument in node.args]
    named = [f"{key}={write(value)}" for key, value in node.kwargs.items()]
    if node.target is operator.getitem:
        return f"{args[0]}[{args[1]}]"
    infix = _SIZES.get(node.target) or _INFIX.get(name)
    if infix and len(args) == 2 and not named:
        return f"{args[0]} {infix} {args[1]}"
    if name in _METHODS:
        return f"{args[0]}.{_METHODS[name]}({', '.join([*args[1:], *named])})"
    nicer = _rearranged(node, args) or _functional(node, args, named)
    return nicer or f"torch.ops.{name}({', '.join([*args, *named])})"


def _rearranged(node: fx.Node, args: list[str]) -> str | None:
    """Write what has a form of its own in Python; None for other operators."""
    name = str(node.target)
    if name == "aten.dropout.default":
        return f"F.dropout({args[0]}, {args[1]}, self.training)" if node.args[1] else args[0]
    if name == "aten.cat.default":
        return f"torch.cat({', '.join(args)})"
    if name == "aten.slice.Tensor" and len(args) > 2 and isinstance(node.args[1], int) and node.args[1] >= 0:
        indices = _slice(*args[2:])
        return args[0] if indices == ":" else f"{args[0]}[{':, ' * node.args[1]}{indices}]"
    return None


def _functional(node: fx.Node, args: list[str], named: list[str]) -> str | None:
    """Write a function of torch.nn.functional; None where there is none of the operator's name."""
    _, called, overload = [*str(node.target).split("."), "", ""][:3]
    is_inplace = called in _INPLACE
    function = called[:-1] if is_inplace else called
    if overload != "default" or function not in _FUNCTIONS:
        return None
    return f"F.{function}({_keywords(node, args, [*named, 'inplace=True'] if is_inplace else named)})"


def _slice(start: str, end: str = "None", step: str = "1") -> str:
    """A range of indices as Python writes it."""
    first = "" if start in {"None", "0"} else start
    last = "" if end in {"None", str(sys.maxsize)} else end
    return f"{first}:{last}" + ("" if step == "1" else f":{step}")


def _keywords(node: fx.Node, args: list[str], named: list[str]) -> str:
    """The arguments behind the first by the names that the operator's schema has for them."""
    schema: Any = node.target
    names = [argument.name for argument in schema._schema.arguments]
    names = ["input" if name == "self" else name for name in names]
    tensors = len(list(takewhile(lambda argument: isinstance(argument, fx.Node), node.args)))
    first, rest = args[:tensors], zip(names[tensors:], args[tensors:], strict=False)
    return ", ".join([*first, *(f"{name}={value}" for name, value in rest), *named])


def constant(value: Any, names: Mapping[fx.Node, str]) -> str:
    """Write an argument: a step's name, numbers, lists, and torch's types; a device becomes that of the images."""
    if isinstance(value, fx.Node):
        return names[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(constant(item, names) for item in value)}]"
    if isinstance(value, torch.device):
        return "images.device"
    if isinstance(value, float) and value in {float("inf"), float("-inf")}:
        return f'float("{value}")'
    return repr(value)
