"""Cuts found and made by torch.fx: searched in a fine recording, made in one that keeps whole modules whole."""

from collections.abc import Callable, Collection, Sequence

from torch import Tensor, fx, nn

from helixnas.errors import CutError
from helixnas.teacher import graph
from helixnas.teacher.boundaries import Boundaries
from helixnas.teacher.choose import choose
from helixnas.teacher.points import graph_points
from helixnas.teacher.trace import Address, TraceFault, Tracer, callers, record, record_deeply, scratch, spans


def find(network: nn.Module, num_blocks: int, example: Tensor) -> Boundaries:
    """The boundaries of ``num_blocks`` blocks, or CutError that says what torch.fx met."""
    fine = _recorded(network)
    nodes = graph.steps(fine.graph)
    graph.result(nodes)
    found, total = graph_points(fx.GraphModule(fine.root, fine.graph), nodes, spans(fine), example)
    boundaries = [nodes[point.position] for point in choose(found, num_blocks, total)]
    opened = _opened(fine, boundaries)
    while True:
        coarse = record(scratch(network), _others(opened))
        flow = graph.Flow(coarse.root, graph.steps(coarse.graph), example)
        ends = [coarse.at[_address(fine, node, opened)] for node in boundaries]
        takers = {path for end in ends for path in _takers(flow, end)} - opened
        if not takers:
            return Boundaries("fx", tuple(end.name for end in ends), tuple(sorted(opened)))
        opened |= takers


def split(
    network: nn.Module, boundaries: Boundaries, example: Tensor
) -> tuple[Sequence[fx.GraphModule], Sequence[tuple[str, ...]]]:
    """Stem, blocks and head, and the modules of each; CutError if the network has no such steps."""
    nodes = graph.trace(network, boundaries.modules)
    pieces = graph.Flow(network, nodes, example).split(boundaries.names)
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


def _address(fine: Tracer, node: fx.Node, opened: set[str]) -> Address:
    """The step of the coarse recording that gives what ``node`` gives."""
    address: Address = node.meta["address"]
    for call in callers(fine, node):
        if call.path not in opened:
            address = call.address
    return address


def _takers(flow: graph.Flow, boundary: fx.Node) -> set[str]:
    """The modules behind a boundary that are given more than crosses it, but may not need it: they must be opened."""
    after = set(flow.nodes[flow.nodes.index(boundary) + 1 :])
    users = {user for other in flow.crossing(boundary) for user in other.users if user in after}
    return {str(user.target) for user in users if user.op == "call_module"}


def _others(opened: Collection[str]) -> Callable[[nn.Module, str], bool]:
    return lambda _, path: path not in opened
