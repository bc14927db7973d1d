"""Count or measure the cost of every path, and of the parts outside the blocks."""

from helixnas.cost.count import count
from helixnas.cost.dearer import without_dearer
from helixnas.cost.latency import machine, measure, runner
from helixnas.cost.table import count_paths, in_widths, path_runs

__all__ = ["count", "count_paths", "in_widths", "machine", "measure", "path_runs", "runner", "without_dearer"]
