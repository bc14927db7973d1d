"""Find the obvious alternatives to a search, at equal budget and equal training, beside the chosen student."""

from helixnas.compare.ablations import ablations
from helixnas.compare.measure import reach
from helixnas.compare.obvious import obvious_ways
from helixnas.compare.rival import Reached, Rival, rival_from_json, rival_to_json
from helixnas.compare.sampled import random_rivals

__all__ = [
    "Reached",
    "Rival",
    "ablations",
    "obvious_ways",
    "random_rivals",
    "reach",
    "rival_from_json",
    "rival_to_json",
]
