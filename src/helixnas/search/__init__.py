"""Search: ratings, costs and a budget go in; architectures come out. Optuna's door. No network is evaluated here."""

from helixnas.search.closed_loop import Correction, Loop, Pair, close_loop, loop_from_json
from helixnas.search.decide import decide, frontier_table, trials_table
from helixnas.search.exact import ExactResult, solve
from helixnas.search.price import Pricer, extreme, pricer
from helixnas.search.refine import Measurement, refine

__all__ = [
    "Correction",
    "ExactResult",
    "Loop",
    "Measurement",
    "Pair",
    "Pricer",
    "close_loop",
    "decide",
    "extreme",
    "frontier_table",
    "loop_from_json",
    "pricer",
    "refine",
    "solve",
    "trials_table",
]
