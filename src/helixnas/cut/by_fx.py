"""Find and make cuts by torch.fx: search in a fine recording, cut in a recording that keeps whole modules whole."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, fx, nn

from helixnas.cut import graph
from helixnas.cut.boundaries import Boundaries
from helixnas.cut.crossings import boundaries
from helixnas.cut.trace import Address, TraceFault, Tracer, callers, record, record_deeply, scratch, spans
from helixnas.errors import CutError


def find(network: nn.Module, num_blocks: int, example: Tensor) -> Boundaries:
    """Find the boundaries of ``num_blocks`` blocks; CutError with the reason of torch.fx if there are none."""
    fine = _traced(network, record_deeply)
    nodes = graph.steps(fine.graph)
    graph.result(nodes)
    ends = boundaries(fx.GraphModule(fine.root, fine.graph), nodes, spans(fine), num_blocks, example)
    # the modules that hold a boundary, and those that return several values, a number unknown to a graph
    opened = {call.path for node in ends for call in callers(fine, node) if call.result is not node}
    opened |= {call.path for call in fine.calls.values() if call.result is None}
    record_coarsely = partial(record, is_closed=lambda _, path: path not in opened)
    while True:
        coarse = _traced(network, record_coarsely)
        flow = graph.Flow(coarse.root, graph.steps(coarse.graph), example)
        found = [coarse.at[_address(fine, end, opened)] for end in ends]
        takers = {path for node in found for path in _takers(flow, node)} - opened
        if not takers:
            return Boundaries("fx", tuple(node.name for node in found), tuple(sorted(opened)))
        opened |= takers


def flow(network: nn.Module, at: Boundaries, example: Tensor) -> graph.Flow:
    """Record the network again as it was when ``at`` was found, whose names are steps of this recording."""
    return graph.Flow(network, graph.trace(network, at.modules), example)


def _traced(network: nn.Module, record: Callable[[nn.Module], Tracer]) -> Tracer:
    """A recording; CutError if the network cannot be recorded so."""
    try:
        return record(scratch(network))
    except TraceFault as fault:
        raise CutError(f"{fault.path or 'its own code'} is no fixed graph: {fault.reason}") from fault


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
