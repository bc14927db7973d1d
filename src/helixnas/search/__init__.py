"""Search: ratings, costs and a budget go in; architectures come out. Optuna's door. No network is evaluated here."""

from helixnas.search.decide import decide, frontier_table, trials_table
from helixnas.search.exact import ExactResult, solve
from helixnas.search.price import Pricer, extreme, pricer
from helixnas.search.refine import Measurement, refine

__all__ = [
    "ExactResult",
    "Measurement",
    "Pricer",
    "decide",
    "extreme",
    "frontier_table",
    "pricer",
    "refine",
    "solve",
    "trials_table",
]
