"""Find and make cuts by torch.export, for networks that torch.fx cannot record.

torch.export follows code that reads shapes and types. It records the forward pass in eval mode, whatever mode a piece
is in later; the weights are the teacher's.
"""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from textwrap import shorten

import torch
from torch import Tensor, fx, nn

from helixnas.cut import graph
from helixnas.cut.boundaries import Boundaries
from helixnas.cut.crossings import boundaries
from helixnas.cut.trace import Span
from helixnas.errors import CutError


def find(network: nn.Module, num_blocks: int, example: Tensor) -> Boundaries:
    """Find the boundaries of ``num_blocks`` blocks; CutError with the reason of torch.export if there are none."""
    module = _exported(network, example)
    nodes = graph.steps(module.graph)
    ends = boundaries(module, nodes, _spans(network, nodes), num_blocks, example)
    return Boundaries("export", tuple(node.name for node in ends))


def flow(network: nn.Module, _at: Boundaries, example: Tensor) -> graph.Flow:
    """Export the network again; the names of its boundaries are steps of this graph."""
    module = _exported(network, example)
    return graph.Flow(module, graph.steps(module.graph), example)


def _exported(network: nn.Module, example: Tensor) -> fx.GraphModule:
    """The network as a graph of torch's own operations, for batches of any size, sharing the weights."""
    batch = torch.export.Dim("batch")
    try:
        with torch.no_grad(), _silence():
            module = torch.export.export(network, (example,), dynamic_shapes=({0: batch},)).module()
    except Exception as error:  # torch.export raises whatever it meets in foreign code
        reason = shorten(str(error), 200, placeholder=" ...")
        raise CutError(f"its code is no fixed graph for batches of any size: {reason}") from error
    made = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        if node.op == "output":
            values = node.args[0]
            made.output(copies[values[0]] if len(values) == 1 else tuple(copies[value] for value in values))
        elif node.op != "call_module":  # the only module called so is export's check of the input's shape
            copies[node] = made.node_copy(node, lambda old: copies[old])
    return fx.GraphModule(module, made)


@contextmanager
def _silence() -> Iterator[None]:
    """Silence the pages that torch prints and logs on code that it cannot export; the raised error says enough."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _spans(network: nn.Module, nodes: list[fx.Node]) -> list[Span]:
    """The modules that ran, with the steps that each covers."""
    modules = dict(network.named_modules(remove_duplicate=False))
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for position, node in enumerate(nodes):
        for path, _ in node.meta.get("nn_module_stack", {}).values():
            first.setdefault(path, position)
            last[path] = position
    return [
        Span(path, start, last[path] + 1, any(modules[path].children()))
        for path, start in first.items()
        if path and path in modules
    ]
