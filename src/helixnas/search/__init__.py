"""Search: ratings, costs and a budget go in; architectures come out. Optuna's door. No network is evaluated here."""

from helixnas.search.decide import decide, frontier_table, trials_table
from helixnas.search.exact import ExactResult, solve
from helixnas.search.measured.halving import Rung, halve, num_epochs
from helixnas.search.measured.ledger import Ledger
from helixnas.search.measured.propose import propose
from helixnas.search.measured.sweep import sweep
from helixnas.search.price import Pricer, extreme, pricer
from helixnas.search.refine import Measurement, refine
from helixnas.search.trust import order_of

__all__ = [
    "ExactResult",
    "Ledger",
    "Measurement",
    "Pricer",
    "Rung",
    "decide",
    "extreme",
    "frontier_table",
    "halve",
    "num_epochs",
    "order_of",
    "pricer",
    "propose",
    "refine",
    "solve",
    "sweep",
    "trials_table",
]
