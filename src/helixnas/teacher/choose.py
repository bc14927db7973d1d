"""Which of the places to cut: at the ends of the network's own stages, and so that the blocks have equal shares."""

import math
from collections.abc import Sequence
from itertools import pairwise

from helixnas.errors import CutError
from helixnas.teacher.points import Point

CHANGED = 1.5
"""A feature has another resolution where it has so many times as many, or as few, positions. A class token is none."""
INNER = 1.0
"""The price of a cut between two blocks that no change of resolution marks."""
SPLIT = 0.5
"""The price of a cut inside a module, by the share of all madds that the largest module at the cut does not have."""
WIDE = 0.25
"""The price of each doubling of a feature's width over the narrowest of the same resolution: it is what is learnt."""
MIXED = 0.5
"""The price of a block that takes a map and gives tokens, or the like: few things can stand in for it."""
OUTSIDE = 1.0
"""The price of stem and head, which stay as they are, by their share of all madds."""


def choose(points: Sequence[Point], num_blocks: int, total_madds: int) -> list[Point]:
    """``num_blocks + 1`` of the points: where the stem ends, then where each block ends.

    The least sum of prices: those above, and for each block how far its share of the madds is from the equal one.
    CutError if there are too few points; it names them.
    """
    groups = _groups(points)
    if len(groups) <= num_blocks:
        raise CutError(_too_few(groups, num_blocks))
    at = [_best(group) for group in groups]
    price_at = [_point_price(point, at) for point in at]
    followed = zip(groups, [*groups[1:], []], strict=True)
    inner = [INNER * (not _changes(group, following)) for group, following in followed]
    best = [(price_at[index] + OUTSIDE * point.madds / total_madds, [index]) for index, point in enumerate(at)]
    for block_id in range(num_blocks):
        is_last = block_id == num_blocks - 1
        best = [
            min(
                (
                    (
                        price
                        + _block_price(at[chosen[-1]], point, num_blocks, total_madds)
                        + price_at[index]
                        + (OUTSIDE * (1 - point.madds / total_madds) if is_last else inner[index]),
                        [*chosen, index],
                    )
                    for price, chosen in best[:index]
                ),
                default=(math.inf, [index]),
            )
            for index, point in enumerate(at)
        ]
    return [at[index] for index in min(best)[1]]


def _point_price(point: Point, points: Sequence[Point]) -> float:
    alike = [other.width for other in points if not _is_other(point.num_positions, other.num_positions)]
    return SPLIT * (1 - point.weight) + WIDE * math.log2(point.width / min(alike))


def _block_price(start: Point, stop: Point, num_blocks: int, total_madds: int) -> float:
    share = (stop.madds - start.madds) / total_madds
    return num_blocks * (share - 1 / num_blocks) ** 2 + MIXED * (start.layout != stop.layout)


def _groups(points: Sequence[Point]) -> list[list[Point]]:
    """Points with no multiply-add between them: at most one of them is worth a cut."""
    groups: list[list[Point]] = []
    for point in points:
        if groups and groups[-1][-1].madds == point.madds:
            groups[-1].append(point)
        else:
            groups.append([point])
    return groups


def _best(group: Sequence[Point]) -> Point:
    """Where the largest module ends or begins; else the last before the resolution changes, behind the activation."""
    heaviest = max(point.weight for point in group)
    if heaviest:
        return next(point for point in reversed(group) if point.weight == heaviest)
    for point, following in pairwise(group):
        if _is_other(point.num_positions, following.num_positions):
            return point
    return group[-1]


def _changes(group: Sequence[Point], following: Sequence[Point]) -> bool:
    """Whether the resolution changes here: among points that no multiply-add parts, in the module that begins with
    them, or with the next point."""
    steps = [(point.num_positions, other.num_positions) for point, other in pairwise([*group, *following[:1]])]
    return any(_is_other(*step) for step in [*steps, *((point.num_positions, point.onward) for point in group)])


def _is_other(num: int, other: int) -> bool:
    return max(num, other) >= CHANGED * min(num, other)


def _too_few(groups: Sequence[Sequence[Point]], num_blocks: int) -> str:
    names = ", ".join(_best(group).name for group in groups) or "none"
    remedy = (
        f"Ask for at most {len(groups) - 1}" if len(groups) > 1 else "Name the modules of each block in teacher.blocks"
    )
    return (
        f"{num_blocks} blocks need {num_blocks + 1} places where exactly one tensor crosses, a map or tokens, with "
        f"multiply-adds between them, but {len(groups)} were found: {names}. {remedy}."
    )
