"""Count or measure the cost of every path, and of the parts outside the blocks."""

from helixnas.cost.count import count
from helixnas.cost.dearer import without_dearer
from helixnas.cost.measure import Subject, machine, measure
from helixnas.cost.table import count_paths, in_widths, path_subjects

__all__ = ["Subject", "count", "count_paths", "in_widths", "machine", "measure", "path_subjects", "without_dearer"]
