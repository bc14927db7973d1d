"""Measure hundreds of assembled students, group by group, so that a kill loses one group."""

from collections.abc import Sequence

from helixnas.progress import Progress
from helixnas.results import Choice
from helixnas.search.measured.ledger import Ledger
from helixnas.search_space import Architecture

GROUP = 64
"""Students that are measured together, and so lost together at a kill."""


def sweep(architectures: Sequence[Architecture], ledger: Ledger, progress: Progress) -> tuple[Choice, ...]:
    """Measure students as they are assembled, those that begin alike in one group; return them in the order given.

    Args:
        architectures: The students.
        ledger: Knows what was measured before, and measures the rest.
        progress: Told the number of measured students.
    """
    missing = [each for each in architectures if not ledger.knows(each, 0)]
    missing.sort(key=lambda each: [(path.cell, path.choices) for path in each.paths])
    for start in range(0, len(missing), GROUP):
        progress(len(architectures) - len(missing) + start, len(architectures))
        ledger(missing[start : start + GROUP], 0)
    progress(len(architectures), len(architectures))
    return tuple(ledger(architectures, 0))
