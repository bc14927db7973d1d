"""The run as people read it: one self-contained HTML page, a table on the terminal, tables for ``dvc plots``."""

from helixnas.report.page import ReportData, write
from helixnas.report.plan_table import print_plan
from helixnas.report.tables import frontier_table, trials_table
from helixnas.report.terminal import print_figures
from helixnas.report.wording import rating_warnings

__all__ = ["ReportData", "frontier_table", "print_figures", "print_plan", "rating_warnings", "trials_table", "write"]
