"""Rate every path of a block by a criterion."""

from helixnas.rating.criterion import Criterion, Leaf, Sources, Walk, open_criterion, reads_teacher
from helixnas.rating.rate import rate

__all__ = ["Criterion", "Leaf", "Sources", "Walk", "open_criterion", "rate", "reads_teacher"]
