"""Search: ratings, costs and a budget go in; architectures come out. Optuna's door. No network is evaluated here."""

from helixnas.search.closed_loop import Correction, Loop, Pair, close_loop, loop_from_json
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
    "Correction",
    "ExactResult",
    "Ledger",
    "Loop",
    "Measurement",
    "Pair",
    "Pricer",
    "Rung",
    "close_loop",
    "decide",
    "extreme",
    "frontier_table",
    "halve",
    "loop_from_json",
    "num_epochs",
    "order_of",
    "pricer",
    "propose",
    "refine",
    "solve",
    "sweep",
    "trials_table",
]
