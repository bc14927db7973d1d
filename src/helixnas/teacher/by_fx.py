"""Cuts found and made by torch.fx: searched in a fine recording, made in one that keeps whole modules whole."""

from collections.abc import Sequence

from torch import Tensor, fx, nn

from helixnas.errors import CutError
from helixnas.teacher import graph
from helixnas.teacher.boundaries import Boundaries
from helixnas.teacher.choose import choose
from helixnas.teacher.points import graph_points
from helixnas.teacher.trace import TraceFault, Tracer, callers, record, record_deeply, scratch, spans


def find(network: nn.Module, num_blocks: int, example: Tensor) -> Boundaries:
    """The boundaries of ``num_blocks`` blocks, or CutError that says what torch.fx met."""
    fine = _recorded(network)
    nodes = graph.steps(fine.graph)
    graph.result(nodes)
    found, total = graph_points(fx.GraphModule(fine.root, fine.graph), nodes, spans(fine), example)
    chosen = choose(found, num_blocks, total)
    boundaries = [nodes[point.position] for point in chosen]
    opened = _opened(fine, boundaries)
    coarse = record(scratch(network), lambda _, path: path not in opened)
    names = [coarse.at[_address(fine, node, opened)].name for node in boundaries]
    return Boundaries("fx", tuple(names), tuple(sorted(opened)))


def split(network: nn.Module, boundaries: Boundaries) -> tuple[Sequence[fx.GraphModule], Sequence[tuple[str, ...]]]:
    """Stem, blocks and head, and the modules of each; CutError if the network has no such steps."""
    nodes = graph.trace(network, boundaries.modules)
    pieces = graph.split(network, nodes, boundaries.names)
    return pieces, graph.covered(pieces)


def _recorded(network: nn.Module) -> Tracer:
    """The finest recording that also runs."""
    try:
        return record_deeply(scratch(network))
    except TraceFault as fault:
        raise CutError(f"its own code is no fixed graph: {fault.reason}") from fault


def _opened(fine: Tracer, boundaries: Sequence[fx.Node]) -> set[str]:
    """The modules that a boundary lies inside, and those whose result is more than one value, of which a graph of
    whole modules could not know the number."""
    inside = {call.path for node in boundaries for call in callers(fine, node) if call.result is not node}
    return inside | {call.path for call in fine.calls.values() if call.result is None}


def _address(fine: Tracer, node: fx.Node, opened: set[str]) -> tuple[str, int]:
    """The step of the coarse recording that gives what ``node`` gives."""
    address: tuple[str, int] = node.meta["address"]
    for call in callers(fine, node):
        if call.path not in opened:
            address = call.address
    return address
