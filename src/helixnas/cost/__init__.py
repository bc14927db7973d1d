"""Count or measure the cost of every path, and of the parts outside the blocks."""

from helixnas.cost.count import count
from helixnas.cost.dearer import without_dearer
from helixnas.cost.measure import Subject, from_pixels, machine, measure, measuring_device
from helixnas.cost.table import count_paths, in_widths, path_subjects

__all__ = [
    "Subject",
    "count",
    "count_paths",
    "from_pixels",
    "in_widths",
    "machine",
    "measure",
    "measuring_device",
    "path_subjects",
    "without_dearer",
]
