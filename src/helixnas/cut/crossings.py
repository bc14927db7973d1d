"""Find where exactly one tensor crosses a recorded network, and choose the places to cut among these."""

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from torch import Tensor, fx

from helixnas.cut.choose import choose
from helixnas.cut.graph import varying
from helixnas.cut.layout import channel_axis, layout_of, step_name
from helixnas.cut.measure import Measured, measure
from helixnas.cut.points import Line, Point, is_pooled
from helixnas.cut.sizes import sizes
from helixnas.cut.trace import Span
from helixnas.errors import CutError

NUM_NAMED = 3


def boundaries(
    module: fx.GraphModule, nodes: Sequence[fx.Node], spans: Sequence[Span], num_blocks: int, example: Tensor
) -> list[fx.Node]:
    """Return the steps behind which to cut a graph into a stem, ``num_blocks`` blocks and a head.

    Args:
        module: The recorded network.
        nodes: Its steps, in order.
        spans: The modules that cover the steps.
        num_blocks: How many blocks are wanted.
        example: A batch of images [N, C, H, W].

    Raises:
        CutError: There are too few places; the message names them, and the tensors that cross elsewhere.
    """
    known = sizes(module, nodes, example)
    crossings = single_crossings(nodes, known)
    run = measure(module, crossings, example)
    steps = [run.steps[node] for node in nodes]
    line = Line([node.name for node in nodes], [s.shape for s in steps], [s.madds for s in steps], spans)
    points: list[Point] = []  # the places that can be cut, in order, from the first multiply-add to the pooling
    for position, node in enumerate(nodes):
        shape, madds = run.steps[node].shape, run.steps[node].madds
        if node not in crossings or not madds:
            continue
        if is_pooled(step_name(node, module), shape, points):
            break
        if shape is not None and shape[0] == len(example) and node not in run.changed:
            layout = layout_of(shape, example.shape, channel_axis(node, run.steps, module))
            points += [line.point(position, layout)] if layout else []
    try:
        chosen = choose(points, num_blocks, run.steps[nodes[-1]].madds)
    except CutError as error:
        raise CutError(f"{error}{_obstacle(nodes, known, points, run)}") from error
    return [nodes[point.position] for point in chosen]


def single_crossings(nodes: Sequence[fx.Node], known: Collection[fx.Node]) -> set[fx.Node]:
    """Return the steps behind which no other value that depends on the input is still needed."""
    return {node for node, live in _live(nodes, known) if live == {node}}


def _live(nodes: Sequence[fx.Node], known: Collection[fx.Node]) -> Iterator[tuple[fx.Node, set[fx.Node]]]:
    """Each step, with the steps whose values are needed behind it. ``known`` sizes need not be handed on."""
    varied, place = varying(nodes, known), {node: position for position, node in enumerate(nodes)}
    last = {
        node: max((place.get(user, len(nodes)) for user in node.users if user not in known), default=-1)
        for node in varied
    }
    live: set[fx.Node] = set()
    for position, node in enumerate(nodes):
        live |= {node} & varied
        live = {one for one in live if last[one] > position}
        yield node, live


def _obstacle(nodes: Sequence[fx.Node], known: Collection[fx.Node], points: Sequence[Point], run: Measured) -> str:
    """What crosses in the middle of the longest stretch, in multiply-adds, that has no place to cut."""
    madds = [run.steps[node].madds for node in nodes]
    ends = [0, *(point.position for point in points), len(nodes) - 1]
    start, stop = max(pairwise(ends), key=lambda pair: madds[pair[1]] - madds[pair[0]])
    middle = (madds[start] + madds[stop]) / 2
    for position, (node, live) in enumerate(_live(nodes, known)):
        if position > start and madds[position] >= middle:
            names = [one.name for one in nodes if one in live]
            more = f" and {len(names) - NUM_NAMED} more" if len(names) > NUM_NAMED else ""
            return f" Behind {node.name}, for one, {len(names)} cross: {', '.join(names[:NUM_NAMED])}{more}."
    return ""
