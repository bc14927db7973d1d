"""The run as people read it: one self-contained HTML page, and a table on the terminal."""

from helixnas.report.page import ReportData, write
from helixnas.report.plan_table import print_plan
from helixnas.report.ranking_table import print_rankings
from helixnas.report.terminal import print_figures
from helixnas.report.wording import rating_warnings

__all__ = ["ReportData", "print_figures", "print_plan", "print_rankings", "rating_warnings", "write"]
