"""Find the boundaries that a list of each block's modules describes, or say in one sentence how the list is wrong."""

import difflib
from collections.abc import Sequence

from torch import Tensor, fx, nn

from helixnas.cut import graph
from helixnas.cut.boundaries import Boundaries
from helixnas.errors import CutError


def listed(network: nn.Module, block_modules: Sequence[Sequence[str]], example: Tensor) -> Boundaries:
    """Find the boundaries at which block k covers the modules ``block_modules[k]``, in order and without a gap.

    Raises:
        CutError: The list does not describe a cut of this network.
    """
    _require_modules(network, block_modules)
    names = [name for names in block_modules for name in names]
    opened = {name.rsplit(".", depth)[0] for name in names for depth in range(1, name.count(".") + 1)}
    nodes = graph.trace(network, opened)
    graph.result(nodes)
    first = _call(nodes, block_modules[0][0], 0)
    entry = first.args[0]
    if not isinstance(entry, fx.Node):
        raise CutError(f"teacher.blocks[0] must start with a module of one tensor, but {first.target!r} takes another.")
    boundaries = [entry]  # enters block 0; then the node that each block ends with
    for block_id, modules in enumerate(block_modules):
        boundary = _call(nodes, modules[-1], block_id)
        _require_run(nodes, boundaries[-1], boundary, block_id, modules)
        boundaries.append(boundary)
    flow = graph.Flow(network, nodes, example)
    for position, boundary in enumerate(boundaries):
        _require_one_tensor(flow, boundary, position)
    return Boundaries("fx", tuple(node.name for node in boundaries), tuple(sorted(opened)))


def _require_modules(network: nn.Module, block_modules: Sequence[Sequence[str]]) -> None:
    known = [name for name, _ in network.named_modules() if name]
    for block_id, names in enumerate(block_modules):
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3)
                raise CutError(
                    f"teacher.blocks[{block_id}] must name modules of the teacher, but {name!r} is none. "
                    f"Near: {', '.join(near) or ', '.join(known[:8])}."
                )


def _call(nodes: Sequence[fx.Node], name: str, block_id: int) -> fx.Node:
    calls = [node for node in nodes if node.op == "call_module" and node.target == name]
    if len(calls) != 1:
        raise CutError(
            f"teacher.blocks[{block_id}] must name modules that one forward pass calls once, but {name!r} is called "
            f"{len(calls)} times. Name the module that holds it, or one inside it."
        )
    return calls[0]


def _require_run(nodes: Sequence[fx.Node], start: fx.Node, end: fx.Node, block_id: int, names: Sequence[str]) -> None:
    """CutError unless the modules called between two boundaries are exactly the block's."""
    called = [str(n.target) for n in nodes[nodes.index(start) + 1 : nodes.index(end) + 1] if n.op == "call_module"]
    if called == list(names):
        return
    place = f"where block {block_id - 1} ends" if block_id else "where the stem ends"
    if not called:
        raise CutError(
            f"teacher.blocks[{block_id}].modules must continue {place}, but {names[-1]!r} is called before it."
        )
    if called[0] != names[0]:
        raise CutError(
            f"teacher.blocks[{block_id}].modules must continue {place} ({called[0]!r}), but starts at {names[0]!r}."
        )
    raise CutError(
        f"teacher.blocks[{block_id}] must list every module from its first to its last, which are {called}, "
        f"but lists {list(names)}."
    )


def _require_one_tensor(flow: graph.Flow, boundary: fx.Node, position: int) -> None:
    others = flow.crossing(boundary)
    if others:
        place = f"after block {position - 1}" if position else "before block 0"
        names = ", ".join(sorted(node.name for node in others))
        raise CutError(
            f"One tensor must cross the cut {place} ({boundary.name}), but {len(others) + 1} do: {names} too. "
            "Cut where a residual or dense connection is closed."
        )
