"""Look inside a piece: find the axis of its output's channels, and the layers that could be left out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from helixnas.cut import graph
from helixnas.cut.crossings import single_crossings
from helixnas.cut.layout import channel_axis
from helixnas.cut.measure import measure
from helixnas.cut.sizes import sizes
from helixnas.cut.trace import TraceFault, record_deeply, scratch, spans
from helixnas.errors import CutError

_NUMBERED = re.compile(r"\d$")
MIN_LAYERS = 2
"""The least number of weighted layers in a droppable module; a single convolution is only part of a layer."""


@dataclass(frozen=True, slots=True)
class Inside:
    """The findings in a piece.

    Attributes:
        channel_axis: Of the output, batch included; None if unknown.
        droppable: The submodules that could be left out, in order.
    """

    channel_axis: int | None = None
    droppable: tuple[str, ...] = ()


def look_inside(piece: nn.Module, inputs: Tensor) -> Inside:
    """Find the channel axis and the droppable submodules of a piece; nothing, if the piece cannot be recorded.

    Droppable are layers such as residual blocks: members of a list of modules of one kind, with weighted layers inside,
    that run in a row with the rest of the piece and whose output has the shape of their input.

    Args:
        piece: A part of the network.
        inputs: A batch that the piece takes.
    """
    try:
        tracer = record_deeply(scratch(piece))
        assert isinstance(tracer.root, nn.Module)
        nodes = graph.steps(tracer.graph)
        module = fx.GraphModule(tracer.root, tracer.graph)
        known = sizes(module, nodes, inputs)
        crossings = single_crossings(nodes, known)
        steps = measure(module, crossings, inputs).steps
        axis = channel_axis(graph.result(nodes), steps, module)
    except (CutError, TraceFault):
        return Inside()
    varied = graph.varying(nodes, known)
    before = [nodes[0]]  # for each position, and the one behind the last, the last step before it that varies
    for node in nodes:
        before.append(node if node in varied else before[-1])
    units = []
    for span in sorted(spans(tracer), key=lambda span: span.start):
        entry, exit_ = before[span.start], before[span.stop]
        # one tensor enters the module, and one of the same shape leaves it, with nothing past it
        is_in_a_row = entry is not exit_ and {entry, exit_} <= crossings and steps[entry].shape == steps[exit_].shape
        if is_in_a_row and _is_layer_of_stage(piece, span.path):
            units.append(span.path)
    innermost = [path for path in units if not any(other.startswith(f"{path}.") for other in units)]
    shape = steps[graph.result(nodes)].shape
    return Inside(axis, tuple(innermost) if innermost and _gives(shape, piece, innermost, inputs) else ())


def _is_layer_of_stage(piece: nn.Module, path: str) -> bool:
    parent, _, name = path.rpartition(".")
    module = piece.get_submodule(path)
    siblings = [child for child in piece.get_submodule(parent).children() if type(child) is type(module)]
    weighted = [one for one in module.modules() if any(weight.ndim > 1 for weight in one.parameters(recurse=False))]
    return bool(_NUMBERED.search(name)) and len(siblings) > 1 and len(weighted) >= MIN_LAYERS


@torch.no_grad()
def _gives(shape: tuple[int, ...] | None, piece: nn.Module, without: Sequence[str], inputs: Tensor) -> bool:
    """Whether a piece still gives its shape when the named submodules give what they are given."""
    shorter = scratch(piece)
    for name in without:
        shorter.set_submodule(name, nn.Identity())
    try:
        return bool(shorter(inputs).shape == shape)
    except (TypeError, RuntimeError, AttributeError):  # a submodule takes several tensors, or is asked for an attribute
        return False
