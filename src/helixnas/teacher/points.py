"""Where exactly one tensor crosses: the places at which a recorded network can be cut."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, fx

from helixnas.search_space.block import Layout
from helixnas.teacher.graph import varying
from helixnas.teacher.layout import MAP, TOKENS, channel_axis, layout_of, num_positions, step_name
from helixnas.teacher.measure import measure
from helixnas.teacher.sizes import sizes
from helixnas.teacher.trace import Span

POOLED = 4
"""A map of more positions than this that becomes a single one has been pooled, whatever did it."""
MOST = 0.5
"""Of all madds: a module with more is the list of all stages, or wraps the network."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place to cut, behind the step at ``position``. ``shape`` without the batch; ``madds`` done by then.

    Of the modules that are made of modules, as a network's stages are: ``weight`` is the share of all madds, 0 to 1,
    of the largest that ends or begins here, ``onward`` the number of positions that the largest that begins here gives.
    """

    name: str
    position: int
    shape: tuple[int, ...]
    layout: Layout
    madds: int
    weight: float
    onward: int
    depth: int
    """How many of them the place lies inside, neither at the beginning nor at the end, but for those that hold most."""

    @property
    def width(self) -> int:
        return self.shape[0 if self.layout == "NCHW" else -1]

    @property
    def num_positions(self) -> int:
        return num_positions(self.shape, self.layout)


def single_crossings(nodes: Sequence[fx.Node], known: Collection[fx.Node] = ()) -> Iterator[fx.Node]:
    """The steps behind which nothing but their own value is still needed, of what depends on the input.

    ``known`` are sizes, which are known without it.
    """
    varied, place = varying(nodes, known), {node: position for position, node in enumerate(nodes)}
    live: set[fx.Node] = set()
    for position, node in enumerate(nodes):
        live |= {node} & varied
        live = {
            one
            for one in live
            if any(place.get(user, len(nodes)) > position for user in one.users if user not in known)
        }
        if live == {node}:
            yield node


@dataclass(frozen=True, slots=True)
class Line:
    """What a forward pass gives, step by step: names, shapes with the batch (None for what is no feature), madds done
    by then; and the modules that cover the steps. The first step is the input."""

    names: Sequence[str]
    shapes: Sequence[tuple[int, ...] | None]
    madds: Sequence[int]
    spans: Sequence[Span]

    def point(self, position: int, layout: Layout) -> Point:
        """The place behind a step that gives a feature of this layout."""
        shape = self.shapes[position]
        assert shape is not None, position
        ending = [span for span in self.spans if span.stop - 1 == position]
        beginning = [span for span in self.spans if span.start - 1 == position and span.is_container]
        large = [self._madds(span) for span in (*ending, *beginning) if span.is_container]
        given = self.shapes[max(beginning, key=self._madds).stop - 1] if beginning else None
        return Point(
            name=min((span.path for span in ending), key=len, default=self.names[position]),
            position=position,
            shape=shape[1:],
            layout=layout,
            madds=self.madds[position],
            weight=max(large, default=0) / self.madds[-1],
            onward=_num_positions(given, layout) or num_positions(shape[1:], layout),
            depth=sum(self._madds(span) < MOST * self.madds[-1] for span in self._around(position)),
        )

    def _around(self, position: int) -> Iterator[Span]:
        """The modules made of modules that begin before a step and end behind it."""
        return (span for span in self.spans if span.is_container and span.start <= position < span.stop - 1)

    def _madds(self, span: Span) -> int:
        return self.madds[span.stop - 1] - self.madds[span.start - 1]


def _num_positions(given: tuple[int, ...] | None, layout: Layout) -> int | None:
    """The positions of what a map or tokens became, batch included; None if it is neither any more."""
    if given is None or len(given) not in (MAP, TOKENS):
        return None
    as_map: Layout = "NCHW" if layout == "NLC" else layout
    return num_positions(given[1:], as_map if len(given) == MAP else "NLC")


def is_pooled(step_name: str, shape: tuple[int, ...] | None, before: Sequence[Point]) -> bool:
    """Whether a step ends the maps or tokens: the classifier is all that follows."""
    if step_name.split(".", maxsplit=1)[0] == "mean" or ("adaptive" in step_name and "pool" in step_name):
        return True
    if shape is None or len(shape) not in (MAP, TOKENS):
        return False
    if len(shape) == TOKENS:
        return shape[1] == 1
    return shape[2:] == (1, 1) and bool(before) and before[-1].num_positions > POOLED


def graph_points(
    module: fx.GraphModule, nodes: Sequence[fx.Node], spans: Sequence[Span], example: Tensor
) -> tuple[list[Point], int]:
    """The places to cut a graph, in order, behind the first multiply-add and before the pooling; and all its madds."""
    crossings = list(single_crossings(nodes, sizes(module, nodes, example)))
    run = measure(module, crossings, example)
    steps = [run.steps[node] for node in nodes]
    line = Line([node.name for node in nodes], [s.shape for s in steps], [s.madds for s in steps], spans)
    place = {node: position for position, node in enumerate(nodes)}
    found: list[Point] = []
    for node in crossings:
        shape, madds = run.steps[node].shape, run.steps[node].madds
        if madds and is_pooled(step_name(node, module), shape, found):
            break
        if madds and shape is not None and shape[0] == len(example) and node not in run.changed:
            layout = layout_of(shape, example.shape, channel_axis(node, run.steps, module))
            found += [line.point(place[node], layout)] if layout else []
    return found, line.madds[-1]
