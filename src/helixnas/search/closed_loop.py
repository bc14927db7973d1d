"""Close the loop between the tables' latency and that of whole files: measure some, correct the tables, solve again.

A sum over blocks counts the start of each block's file and misses what a runtime fuses across blocks. An affine
correction, measured = scale * sum + offset, mends most of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from helixnas.errors import InfeasibleBudgetError
from helixnas.results import Budget, Choice, Cost, CostTable
from helixnas.search.exact import ExactResult
from helixnas.search_space import Architecture

KIND = "latency_ms"
NUM_MEASURED = 12
"""Architectures along the frontier that are measured before the first correction."""
TOLERANCE = 0.1
"""A prediction counts as right where it is off by no more than this share of what was measured."""
OUTLIER = 4.0
"""A file whose error is so many times the median error was measured at a busy moment, and is left out of the fit."""

Tables = tuple[tuple[CostTable, ...], Cost]
"""The cost table of every block, and the cost of stem and head."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What makes a sum of blocks a prediction of the whole file: ``scale`` times the sum, plus ``offset_ms``."""

    scale: float = 1.0
    offset_ms: float = 0.0

    def __call__(self, sum_ms: float) -> float:
        """Predict the latency of a whole file, in ms."""
        return self.scale * sum_ms + self.offset_ms

    def tables(self, tables: Tables) -> Tables:
        """Return tables whose sums are corrected."""
        costs, fixed = tables
        scaled = tuple(replace(table, costs=tuple(map(self._scaled, table.costs))) for table in costs)
        return scaled, fixed | {KIND: self(fixed[KIND])}

    def _scaled(self, cost: Cost) -> Cost:
        return cost | {KIND: self.scale * cost[KIND]}


@dataclass(frozen=True, slots=True)
class Pair:
    """One architecture: the sum of its blocks, and what its whole file measured, in ms; ``round`` counts from 0."""

    arch_id: str
    sum_ms: float
    measured_ms: float
    round: int


@dataclass(frozen=True, slots=True)
class Loop:
    """What the loop found.

    Attributes:
        correction: The last one, by which the tables were searched.
        pairs: All that were measured, the last chosen at the end.
        limit_ms: What the student may take.
        margin_ms: By how much the limit was lowered in the search, since students that seemed to fit did not.
        has_fit: Whether the last chosen student, measured, fits.
    """

    correction: Correction
    pairs: tuple[Pair, ...]
    limit_ms: float
    margin_ms: float
    has_fit: bool

    def share_within(self, *, corrected: bool) -> float:
        """Return the share (0 to 1) of files of which the prediction is off by at most ``TOLERANCE``."""
        correction = self.correction if corrected else Correction()
        return float(np.mean([abs(correction(p.sum_ms) / p.measured_ms - 1) <= TOLERANCE for p in self.pairs]))

    def as_json(self) -> dict[str, Any]:
        """The loop as plain JSON types, with the shares of right predictions before and after the correction."""
        shares = {"share_within_before": self.share_within(corrected=False)}
        return asdict(self) | shares | {"share_within_after": self.share_within(corrected=True)}


def loop_from_json(value: Mapping[str, Any]) -> Loop:
    """Read the loop that ``as_json`` wrote."""
    pairs = tuple(Pair(**pair) for pair in value["pairs"])
    rest = {name: value[name] for name in ("limit_ms", "margin_ms", "has_fit")}
    return Loop(Correction(**value["correction"]), pairs, **rest)


def close_loop(
    solve: Callable[[Tables, Budget], ExactResult],
    measure: Callable[[Sequence[Architecture]], Sequence[float]],
    tables: Tables,
    budget: Budget,
    num_rounds: int,
) -> Loop:
    """Measure whole files along the frontier, correct the tables, and solve again until a measured student fits.

    Args:
        solve: The exact search on these tables.
        measure: The latencies of whole files, in ms, measured beside each other.
        tables: As measured block by block.
        budget: Limits latency_ms.
        num_rounds: How often the search is solved again at most, 1 or more.

    Raises:
        InfeasibleBudgetError: No architecture fits, by the corrected tables.
    """
    limit_ms = budget[KIND]
    wide = solve(tables, budget | {KIND: 1e15}).frontier  # the sums say too much: their own limit would cut too early
    pairs = _measured(measure, _spread(wide), 0)
    correction, margin_ms = fitted(pairs), 0.0
    for round_ in range(1, num_rounds + 1):
        try:
            chosen = solve(correction.tables(tables), budget | {KIND: limit_ms - margin_ms}).best[0]
        except InfeasibleBudgetError:
            if not margin_ms:
                raise
            break  # with a smaller margin there was one, so the search goes on with that
        original = replace(chosen, cost=chosen.cost | {KIND: _uncorrected(correction, chosen)})
        pairs += _measured(measure, [original], round_)
        over_ms = pairs[-1].measured_ms - limit_ms
        if over_ms <= 0:
            return Loop(correction, tuple(pairs), limit_ms, margin_ms, has_fit=True)
        correction = fitted(pairs)
        margin_ms = max(margin_ms, pairs[-1].measured_ms - correction(pairs[-1].sum_ms), 0.0)
    return Loop(correction, tuple(pairs), limit_ms, margin_ms, has_fit=False)


def _uncorrected(correction: Correction, choice: Choice) -> float:
    return (choice.cost[KIND] - correction.offset_ms) / correction.scale


def _spread(frontier: Sequence[Choice]) -> list[Choice]:
    """Choices of the frontier at even steps of latency, the fastest and the slowest among them."""
    rising = sorted(frontier, key=lambda choice: choice.cost[KIND])
    times = np.array([choice.cost[KIND] for choice in rising])
    wanted = np.linspace(times[0], times[-1], NUM_MEASURED)
    return [rising[index] for index in sorted({int(np.abs(times - each).argmin()) for each in wanted})]


def _measured(
    measure: Callable[[Sequence[Architecture]], Sequence[float]], choices: Sequence[Choice], round_: int
) -> list[Pair]:
    times = measure([choice.architecture for choice in choices])
    return [
        Pair(choice.architecture.arch_id, choice.cost[KIND], time_ms, round_)
        for choice, time_ms in zip(choices, times, strict=True)
    ]


def fitted(pairs: Sequence[Pair]) -> Correction:
    """Fit a correction by least squares of relative errors; once more without outliers.

    With fewer than three different sums, or where the line falls, the offset stays 0 and the scale is the median ratio.
    """
    sums = np.array([pair.sum_ms for pair in pairs])
    times = np.array([pair.measured_ms for pair in pairs])
    kept = np.ones(len(pairs), dtype=bool)
    simple = Correction(scale=float(np.median(times / sums)))
    found = simple
    for _ in range(2):
        if len(np.unique(sums[kept])) < 3:
            return found
        rows = np.stack([sums, np.ones(len(sums))], axis=1) / times[:, None]
        (scale, offset_ms), *_ = np.linalg.lstsq(rows[kept], np.ones(int(kept.sum())), rcond=None)
        if scale <= 0:
            return simple
        found = Correction(float(scale), float(offset_ms))
        errors = np.abs(rows @ [scale, offset_ms] - 1)
        kept = errors <= max(OUTLIER * float(np.median(errors)), 1e-9)
    return found
