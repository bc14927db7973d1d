"""Write a student as a plain module: its layers line by line, its forward pass line by line, and a reader of weights.

The text is made from the graph that torch exported, so that it covers whatever network was exported, and needs none of
the code that the network was made by.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from helixnas.errors import ConfigError
from helixnas.export.contract import Contract
from helixnas.export.layers import Layer, layer_of
from helixnas.export.statements import constant, expression, is_remark

_NAMES = ("x", "y", "z", "u", "v", "w")


@dataclass(frozen=True, slots=True, eq=False)
class PlainModule:
    """The text of a module, and the weights that belong to it by their names in the module."""

    text: str
    tensors: dict[str, Tensor]


def plain_module(program: ExportedProgram, contract: Contract, title: str) -> PlainModule:
    """Write the module that computes what ``program`` does.

    Args:
        program: Of one input and one output.
        contract: What the module promises.
        title: The first line of the text: which student this is.

    Raises:
        ConfigError: A step of the graph cannot be written in Python.
    """
    writer = _Writer(program)
    writer.write()
    template = resources.files("helixnas.export").joinpath("model.py.txt").read_text(encoding="utf-8")
    parts = {
        "title": title,
        "input": contract.input_text,
        "output": contract.output_text,
        "shape": ", ".join(map(str, contract.in_shape)),
        "classes": json.dumps(list(contract.class_names), ensure_ascii=False),
        "layers": "\n".join(f"        {line}" for line in writer.declared()),
        "steps": "\n".join(f"        {line}" for line in writer.lines),
    }
    text = re.sub(r"<<(\w+)>>", lambda found: parts[found[1]], template)
    return PlainModule(text, writer.tensors())


@dataclass
class _Writer:
    """Goes through a graph once, and gathers layers, loose tensors and lines of code."""

    program: ExportedProgram
    lines: list[str] = field(default_factory=list)
    layers: dict[str, Layer] = field(default_factory=dict)
    loose: dict[str, bool] = field(default_factory=dict)
    """Tensors that belong to no layer, by the student's names; whether each is a parameter."""

    def __post_init__(self) -> None:
        self._inputs: dict[str, tuple[str, bool]] = {}
        for spec in self.program.graph_signature.input_specs:
            if spec.kind is not InputKind.USER_INPUT and spec.target is not None:
                self._inputs[spec.arg.name] = (spec.target, spec.kind is InputKind.PARAMETER)
        self._attributes: dict[str, str] = {}

    def write(self) -> None:
        """Fill ``lines``."""
        nodes = [node for node in self.program.graph.nodes if not is_remark(node)]
        last_use = {used: position for position, node in enumerate(nodes) for used in node.all_input_nodes}
        names: dict[fx.Node, str] = {}
        part = ""
        for position, node in enumerate(nodes):
            if node.op == "placeholder":
                if node.name not in self._inputs:
                    names[node] = "images"
                continue
            if node.op == "output":
                (value,) = node.args[0]
                self.lines.append(f"return {names[value]}")
                continue
            if node.op == "get_attr":
                continue  # a part of the graph that the call of it names
            if node.op != "call_function" or not str(node.target).startswith(("aten.", "<built-in")):
                raise ConfigError(
                    f"The student must be written in torch's operators, but {node.target} is none that model.py can "
                    "hold. Write the operation without it, or leave it out of search_space.operations."
                )
            code = self._code(node, names)
            dead = [used for used in node.all_input_nodes if used in names and last_use[used] == position]
            for used in dead:
                del names[used]
            names[node] = _free(node, set(names.values()))
            if (entered := _part(node)) and entered != part:
                part = entered
                self.lines.append(f"# {part}")
            if code != names[node]:  # a dropout of nothing gives x = x
                self.lines.append(f"{names[node]} = {code}")

    def _code(self, node: fx.Node, names: dict[fx.Node, str]) -> str:
        found = layer_of(node, self._target)
        if found:
            layer, source = found
            known = self.layers.setdefault(layer.prefix, layer)
            if known == layer:
                return f"self.{self._attribute(layer.prefix)}({constant(source, names)})"
        known_names = dict(names)
        for used in node.all_input_nodes:
            if used.op == "placeholder" and used not in names:
                known_names[used] = f"self.{self._loose(*self._inputs[used.name])}"
        return expression(node, lambda value: constant(value, known_names))

    def _target(self, value: Any) -> str | None:
        is_input = isinstance(value, fx.Node) and value.op == "placeholder" and value.name in self._inputs
        return self._inputs[value.name][0] if is_input else None

    def _loose(self, target: str, is_parameter: bool) -> str:
        self.loose[target] = is_parameter
        return self._attribute(target)

    def _attribute(self, target: str) -> str:
        """The attribute of the written module for a name of the student's, such as ``blocks_0_conv``."""
        if target not in self._attributes:
            name = re.sub(r"\W", "_", target.removeprefix("network."))
            name = f"_{name}" if name[0].isdigit() else name
            while name in self._attributes.values() or hasattr(torch.nn.Module, name):
                name += "_"
            self._attributes[target] = name
        return self._attributes[target]

    def declared(self) -> Iterator[str]:
        """Yield the lines that declare layers and loose tensors."""
        for target, is_parameter in self.loose.items():
            value = self._value(target)
            made = f"torch.empty({list(value.shape)}, dtype={value.dtype})"
            name = self._attribute(target)
            if is_parameter:
                yield f"self.{name} = nn.Parameter({made})"
            else:
                yield f'self.register_buffer("{name}", {made})'
        for prefix, layer in self.layers.items():
            yield f"self.{self._attribute(prefix)} = {layer.code}"

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the written module by its name there."""
        found = {self._attribute(target): self._value(target) for target in self.loose}
        for prefix, layer in self.layers.items():
            attribute = self._attribute(prefix)
            found |= {f"{attribute}.{key}": self._value(name) for key, name in layer.tensors.items()}
            if "running_mean" in layer.tensors:
                found[f"{attribute}.num_batches_tracked"] = self._counter(prefix)
        return {name: value.detach().clone().contiguous() for name, value in found.items()}

    def _counter(self, prefix: str) -> Tensor:
        """BatchNorm's count of batches, which no graph needs, but which torch looks for in a file of weights."""
        found: Tensor = self.program.state_dict.get(f"{prefix}.num_batches_tracked", torch.tensor(0))
        return found

    def _value(self, target: str) -> Tensor:
        value = self.program.state_dict.get(target)
        found: Tensor = self.program.constants[target] if value is None else value
        return found


def _free(node: fx.Node, taken: set[str]) -> str:
    """A short name that no value bears that is still needed; numbers are called n."""
    value = node.meta.get("val")
    letters = ("n",) if isinstance(value, torch.SymInt | int) else _NAMES
    round_ = 0
    while True:
        for letter in letters:
            name = f"{letter}{round_ or ''}"
            if name not in taken:
                return name
        round_ += 1


def _part(node: fx.Node) -> str:
    """The part of the student that a step belongs to: stem, a block, or head; empty where that is not known."""
    for path, _ in reversed(list(node.meta.get("nn_module_stack", {}).values())):
        found = re.match(r"(?:network\.)?(stem|head|blocks\.(\d+))\b", path)
        if found:
            return f"block {found[2]}" if found[2] else found[1]
    return ""
