"""Figures in words: percentages, points, and the page's sentences. Losses are said as plainly as gains."""

import math
from collections.abc import Sequence

from helixnas.results import (
    Budget,
    Figure,
    Figures,
    RatingTable,
    SearchResult,
    trained,
    wilson_interval,
    worse_than_identity,
)
from helixnas.search_space import SearchSpace
from helixnas.telling import quantity

TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"
ABOUT_AS_FAST = 0.05
"""Relative difference of two latencies below which neither is called faster."""


def percent(share: float, digits: int = 1) -> str:
    """A share (0 to 1) as a percentage, such as ``86.9 %``."""
    return f"{100 * share:.{digits}f} %"


def points(difference: float) -> str:
    """A difference of two accuracies (0 to 1) with its sign, in percentage points."""
    return f"{MINUS if difference < 0 else '+'}{100 * abs(difference):.2f}" if difference else "±0"


def share_of(name: str, figure: Figure, teacher: Figure) -> float | None:
    """A figure's cost as a share of the teacher's; None where one of them was not measured."""
    value, whole = figure.cost.get(name), teacher.cost.get(name)
    return None if value is None or not whole else value / whole


def headline(figures: Figures) -> str:
    """The run in one sentence."""
    student, teacher = figures.student, figures.teacher
    share = share_of("madds", student, teacher) or 0.0
    time, speed = share_of("latency_ms", student, teacher), ""
    if time is not None and abs(time - 1) < ABOUT_AS_FAST:
        speed = ", about as fast"
    elif time is not None:
        speed = f", {1 / time:.1f}{TIMES} faster" if time < 1 else f", {time:.1f}{TIMES} slower"
    beside = f"(teacher {percent(teacher.top1_acc, 2)})" if figures.is_labelled else figures.acc_name
    return (
        f"The student reaches {percent(student.top1_acc, 2)} {beside} "
        f"with {percent(share)} of the multiply-adds{speed}."
    )


def loss_sentence(figures: Figures) -> str:
    """What the student lost or gained, in points and in images, and how much of that chance may be."""
    n = figures.num_test_images
    difference = figures.student.top1_acc - figures.teacher.top1_acc
    num_images = abs(round(difference * n))
    low, high = wilson_interval(figures.student.top1_acc, n)
    change = f"{100 * abs(difference):.2f} points of {figures.acc_name}"
    wrong = "is" if num_images == 1 else "are"
    wrong += " wrong" if figures.is_labelled else " told otherwise than by the teacher"
    changes = {
        -1: f"It loses {change}: {num_images} more of the {n:,} test images {wrong}.",
        0: f"It gets as many of the {n:,} test images right as the teacher.",
        1: f"It gains {change}: {num_images} fewer of the {n:,} test images {wrong}.",
    }
    return (
        f"{changes[(difference > 0) - (difference < 0)]} One image is {100 / n:.2g} points; the student's "
        f"{figures.acc_name} lies between {percent(low)} and {percent(high)} with 95 % confidence."
    )


def rating_warnings(space: SearchSpace, ratings: Sequence[RatingTable]) -> tuple[str, ...]:
    """The blocks whose ratings say little, with the keys to change."""
    warnings = []
    remedy = "Raise distill.updates, or lower distill.lr."
    for block, table in zip(space.blocks, ratings, strict=True):
        counts, worse = trained(table, block), worse_than_identity(table, block)
        if counts.has_failed:
            warnings.append(f"Block {block.block_id} learnt too little to be rated: {counts}. {remedy}")
        if worse:
            paths = ", ".join(f"{each.path} with {each.rating:.3g}" for each in worse)
            warnings.append(
                f"Block {block.block_id} has cells that could do nothing, but rate worse than leaving the block out, "
                f"which has {worse[0].identity_loss:.3g}: {paths}. {remedy}"
            )
    return tuple(warnings)


def budget_sentence(figures: Figures) -> str:
    """Each limit, what the student takes of it, and whether it keeps it."""
    told, cost = list[str](), figures.student.cost
    for name, limit in figures.budget.items():
        asked = f"{name} ≤ {quantity(name, limit)}"
        if name not in cost:
            told.append(f"{asked}; the student's was not measured.")
        else:
            verdict = "kept" if Budget({name: limit}).admits(cost) else "exceeded"
            told.append(f"{asked}, {verdict}: the student takes {quantity(name, cost[name])}.")
    return " ".join(told) or "None was set."


def optimum_sentence(result: SearchResult) -> str:
    """What is proven of the exact optimum, and how the chosen architecture stands to it."""
    exact, chosen = result.exact, result.chosen
    if exact.architecture == chosen.architecture:
        return f"{result.optimality}; it is the chosen architecture, predicted_loss {chosen.predicted_loss:.4g}."
    return (
        f"{result.optimality}; it is {exact.architecture.arch_id}, predicted_loss {exact.predicted_loss:.4g}, "
        f"where the chosen one has {chosen.predicted_loss:.4g}."
    )


def space_sentence(num_architectures: int, result: SearchResult) -> str:
    """Say how many architectures there were, and how sure the choice among them is."""
    measured = f"{result.num_trials:,} were measured" if result.num_trials else "none was measured"
    count = f"{num_architectures:,}"
    if num_architectures >= 10**15:
        mantissa, exponent = f"{num_architectures:.1e}".split("e+")
        count = f"{mantissa} {TIMES} 10^{int(exponent)}"
    return f"{count} architectures; {len(result.frontier):,} make up the frontier, {measured}."


def agreement_sentence(tau: float | None, n: int) -> str:
    """Kendall's tau-b over ``n`` measured architectures, with what chance alone would reach."""
    if tau is None or n < 5:  # of four, even the very same order comes by chance in one case of twelve
        return "Too few, or too alike, to tell whether the predicted order is right."
    chance = 1.96 * math.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))
    verdict = "more than chance explains" if abs(tau) > chance else "no more than chance explains"
    return (
        f"Rank agreement of prediction and measurement, Kendall τ-b: {tau:+.2f} (+1 is the same order). With {n} "
        f"points chance alone stays within ±{min(chance, 1):.2f} in 19 of 20 cases, so this is {verdict}. "
        "Trials lie close to the optimum, where orders are hardest to tell."
    )
