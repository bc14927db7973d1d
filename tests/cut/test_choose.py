"""Which places are cut: stages' ends, blocks of like share, few things outside."""

from collections.abc import Sequence
from typing import Any

import pytest

from helixnas.cut.choose import choose
from helixnas.cut.points import Point
from helixnas.errors import CutError

TOTAL = 100


def point(name: str, madds: int, size: int, **others: Any) -> Point:
    """Behind ``madds`` of 100 multiply-adds, a map of so many pixels, both sides, and 8 channels."""
    width = others.pop("width", 8)
    layout = others.pop("layout", "NCHW")
    shape = (width, size, size) if layout == "NCHW" else (size * size, width)
    about = {"weight": 0.0, "onward": size * size, "depth": 0, **others}
    return Point(name, madds, shape, layout, madds, **about)


def chosen(points: Sequence[Point], num_blocks: int) -> list[str]:
    return [found.name for found in choose(points, num_blocks, TOTAL)]


STAGES = [
    point("stem", 2, 32),
    *(point(f"a{n}", 2 + 10 * n, 32) for n in (1, 2)),
    *(point(f"b{n}", 22 + 10 * n, 16) for n in (1, 2, 3, 4)),
    *(point(f"c{n}", 62 + 9 * n, 8) for n in (1, 2, 3, 4)),
]
"""Three stages of 20, 40 and 36 % in even steps; nothing but their resolution marks them."""


@pytest.mark.parametrize(
    ("num_blocks", "names"),
    [
        (1, ["stem", "c4"]),
        (2, ["stem", "b4", "c4"]),
        (3, ["stem", "a2", "b4", "c4"]),
        (4, ["stem", "a2", "b2", "b4", "c4"]),
        (5, ["stem", "a2", "b2", "b4", "c2", "c4"]),
    ],
)
def test_stages_end_blocks_and_the_heaviest_are_halved(num_blocks: int, names: list[str]) -> None:
    assert chosen(STAGES, num_blocks) == names


def test_without_a_change_of_resolution_shares_are_equal() -> None:
    points = [point(f"block{n}", 2 + 8 * n, 14) for n in range(13)]
    assert chosen(points, 4) == ["block0", "block3", "block6", "block9", "block12"]


def test_a_class_token_more_is_no_change_of_resolution() -> None:
    tokens = [point(f"block{n}", 2 + 8 * n, 14, layout="NLC") for n in range(13)]
    odd = Point("block2", 18, (197, 8), "NLC", 18, weight=0.0, onward=197, depth=0)
    assert chosen([*tokens[:2], odd, *tokens[3:]], 4) == ["block0", "block3", "block6", "block9", "block12"]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"weight": 0.4}, {}),  # the end of a stage of 40 %
        ({}, {"depth": 1}),  # inside a residual block, or the like
        ({"width": 8}, {"width": 64}),  # an expanded feature
        ({"onward": 64}, {}),  # the next module shrinks the map
        ({}, {"layout": "NLC"}),  # a map that becomes tokens
    ],
)
def test_of_two_places_alike_the_natural_one_is_cut(better: dict[str, Any], worse: dict[str, Any]) -> None:
    start, end = point("start", 10, 16), point("end", 90, 16)
    first, second = point("first", 49, 16, **better), point("second", 51, 16, **worse)
    assert chosen([start, first, second, end], 2) == ["start", "first", "end"]
    first, second = point("first", 49, 16, **worse), point("second", 51, 16, **better)
    assert chosen([start, first, second, end], 2) == ["start", "second", "end"]


def test_one_stage_makes_one_block() -> None:
    start, end = point("start", 10, 16), point("end", 90, 8)
    first, second = point("first", 49, 8, onward=16), point("second", 51, 16, onward=64)
    assert chosen([start, first, second, end], 2) == ["start", "second", "end"]
    first, second = point("first", 49, 16, onward=64), point("second", 51, 8, onward=16)
    assert chosen([start, first, second, end], 2) == ["start", "first", "end"]


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ([("conv", 16, 0.0), ("bn", 16, 0.0), ("relu", 16, 0.0)], "relu"),
        ([("conv", 16, 0.0), ("relu", 16, 0.0), ("pool", 8, 0.0)], "relu"),
        ([("conv", 16, 0.0), ("relu", 16, 0.0), ("pool", 8, 0.3)], "pool"),  # where the next stage begins
        ([("blocks", 16, 0.9), ("norm", 16, 0.0)], "blocks"),
    ],
)
def test_of_places_without_a_multiply_add_between_them_one_is_cut(
    group: list[tuple[str, int, float]], name: str
) -> None:
    points = [point(one, 50, size, weight=weight) for one, size, weight in group]
    assert chosen([point("start", 10, 16), *points, point("end", 90, 8)], 2)[1] == name


def test_the_classifier_stays_in_the_head_though_it_is_a_convolution() -> None:
    points = [point("stem", 2, 8), point("features", 75, 8), point("classes", 100, 8, width=10)]
    assert chosen(points, 1) == ["stem", "features"]


def test_too_few_places_are_named() -> None:
    points = [point("stem", 2, 8), point("conv", 50, 8), point("relu", 50, 8)]
    with pytest.raises(CutError, match=r"2 blocks need 3 places .* but 2 were found: stem, relu\. Ask for at most 1\."):
        choose(points, 2, TOTAL)
    with pytest.raises(CutError, match=r"but 0 were found: none\.$"):
        choose([], 1, TOTAL)
