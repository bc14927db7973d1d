"""A place to cut, as its surroundings make it."""

import pytest

from helixnas.cut.points import Line, Point, is_pooled
from helixnas.cut.trace import Span

SHAPES = [(2, 3, 16, 16), (2, 8, 16, 16), (2, 8, 16, 16), (2, 8, 8, 8), (2, 8, 8, 8), (2, 8)]
LINE = Line(
    names=["x", "conv", "add", "add_1", "add_2", "mean"],
    shapes=SHAPES,
    madds=[0, 10, 45, 70, 90, 100],
    spans=[
        Span("body", 1, 5, is_container=True),
        Span("body.stage1", 1, 3, is_container=True),
        Span("body.stage1.conv", 1, 2, is_container=False),
        Span("body.stage2", 3, 5, is_container=True),
        Span("body.stage2.block", 3, 4, is_container=True),
    ],
)


def test_a_place_has_the_weight_of_the_largest_module_that_ends_or_begins_there() -> None:
    assert [LINE.point(position, "NCHW").weight for position in (1, 2, 3, 4)] == [0.0, 0.45, 0.25, 0.9]


def test_a_place_knows_the_size_that_the_next_module_gives() -> None:
    assert [LINE.point(position, "NCHW").onward for position in (1, 2, 3, 4)] == [256, 64, 64, 64]


def test_a_place_lies_inside_modules_but_the_one_that_holds_most() -> None:
    assert [LINE.point(position, "NCHW").depth for position in (1, 2, 3, 4)] == [1, 0, 1, 0]


def test_a_place_is_named_for_the_largest_module_that_ends_there_or_its_step() -> None:
    assert [LINE.point(position, "NCHW").name for position in (1, 2, 3, 4)] == [
        "body.stage1.conv",
        "body.stage1",
        "body.stage2.block",
        "body",
    ]
    assert Line(["x", "add"], SHAPES, [0, 1], []).point(1, "NCHW").name == "add"


BEFORE = Point("before", 0, (8, 4, 4), "NCHW", 0, 0.0, 16, 0)
SMALL = Point("before", 0, (8, 2, 2), "NCHW", 0, 0.0, 4, 0)


@pytest.mark.parametrize(
    ("step", "shape", "before", "is_head"),
    [
        ("adaptiveavgpool2d", (2, 8, 1, 1), [BEFORE], True),
        ("adaptive_avg_pool2d", (2, 8, 7, 7), [BEFORE], True),
        ("mean.dim", (2, 8), [BEFORE], True),
        ("mean", (2, 8, 1, 1), [SMALL], True),
        ("conv2d", (2, 8, 1, 1), [BEFORE], True),  # a kernel as large as the map
        ("conv2d", (2, 8, 1, 1), [SMALL], False),  # small images end so
        ("conv2d", (2, 8, 2, 2), [BEFORE], False),
        ("maxpool2d", (2, 8, 2, 2), [BEFORE], False),
        ("getitem", (2, 1, 8), [BEFORE], True),
        ("getitem", (2, 2, 8), [BEFORE], False),
        ("linear", (2, 8), [BEFORE], False),
        ("conv2d", (2, 8, 1, 1), [], False),
    ],
)
def test_the_head_begins_where_a_map_is_pooled(
    step: str, shape: tuple[int, ...], before: list[Point], is_head: bool
) -> None:
    assert is_pooled(step, shape, before) == is_head
