"""Kinds of cost, one file each: how a kind is counted or measured, how parts add up, and its name for people.

``cost.kinds`` of params.yaml names those that a run asks for; ``search.budget`` may limit any of these.
"""

from helixnas.cost_kinds.kind import CostKind, CountedKind, MeasuredKind
from helixnas.cost_kinds.registry import counted, kind, known, measured

__all__ = ["CostKind", "CountedKind", "MeasuredKind", "counted", "kind", "known", "measured"]
