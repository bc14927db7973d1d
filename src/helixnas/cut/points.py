"""The places at which a network can be cut, and their properties."""

from collections.abc import Sequence
from dataclasses import dataclass

from helixnas.blocks import Layout
from helixnas.cut.layout import MAP, TOKENS, num_positions
from helixnas.cut.trace import Span

POOLED = 4
"""A map of more positions than this that becomes a single position has been pooled, by whatever operation."""
MOST = 0.5
"""A share of all madds: a module with more holds most of the network, or all of it."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place to cut, behind the step at ``position``.

    ``weight``, ``onward`` and ``depth`` look only at modules that are made of modules, such as a residual unit.

    Attributes:
        shape: Of the feature, without the batch.
        madds: Done by then.
        weight: The share of all madds, 0 to 1, of the largest module that ends or begins here.
        onward: The number of positions of the output of the largest module that begins here.
    """

    name: str
    position: int
    shape: tuple[int, ...]
    layout: Layout
    madds: int
    weight: float
    onward: int
    depth: int
    """How many such modules the place lies inside, not at an end; modules with MOST of all madds do not count."""

    @property
    def width(self) -> int:
        """The number of channels."""
        return self.shape[0 if self.layout == "NCHW" else -1]

    @property
    def num_positions(self) -> int:
        """The number of positions of a map, or the number of tokens."""
        return num_positions(self.shape, self.layout)


@dataclass(frozen=True, slots=True)
class Line:
    """A forward pass, step by step; the first step is the input.

    Attributes:
        shapes: With the batch; None for a value that is no feature.
        madds: Done by the end of each step.
        spans: The modules that cover the steps.
    """

    names: Sequence[str]
    shapes: Sequence[tuple[int, ...] | None]
    madds: Sequence[int]
    spans: Sequence[Span]

    def point(self, position: int, layout: Layout) -> Point:
        """Return the place behind the step at ``position``, whose value is a feature of this layout."""
        shape = self.shapes[position]
        assert shape is not None, position
        ending = [span for span in self.spans if span.stop - 1 == position]
        beginning = [span for span in self.spans if span.start - 1 == position and span.is_container]
        around = [span for span in self.spans if span.is_container and span.start <= position < span.stop - 1]
        large = [self._madds(span) for span in (*ending, *beginning) if span.is_container]
        given = self.shapes[max(beginning, key=self._madds).stop - 1] if beginning else None
        onward = num_positions(shape[1:], layout)
        if given is not None and len(given) in (MAP, TOKENS):
            as_map: Layout = "NCHW" if layout == "NLC" else layout
            onward = num_positions(given[1:], as_map if len(given) == MAP else "NLC")
        return Point(
            name=min((span.path for span in ending), key=len, default=self.names[position]),
            position=position,
            shape=shape[1:],
            layout=layout,
            madds=self.madds[position],
            weight=max(large, default=0) / self.madds[-1],
            onward=onward,
            depth=sum(self._madds(span) < MOST * self.madds[-1] for span in around),
        )

    def _madds(self, span: Span) -> int:
        return self.madds[span.stop - 1] - self.madds[span.start - 1]


def is_pooled(step_name: str, shape: tuple[int, ...] | None, before: Sequence[Point]) -> bool:
    """Tell whether a step ends the maps or tokens, so that only the classifier follows.

    Args:
        step_name: The kind of the step.
        shape: Of its value, with the batch.
        before: The places to cut before it.
    """
    if step_name.split(".", maxsplit=1)[0] == "mean" or ("adaptive" in step_name and "pool" in step_name):
        return True
    if shape is None or len(shape) not in (MAP, TOKENS):
        return False
    if len(shape) == TOKENS:
        return shape[1] == 1
    return shape[2:] == (1, 1) and bool(before) and before[-1].num_positions > POOLED
