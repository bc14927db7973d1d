"""The final figures on the terminal."""

from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from helixnas.report.beside import below_warning
from helixnas.report.wording import percent, points, share_of
from helixnas.results import Figures
from helixnas.telling import quantity


def print_figures(figures: Figures, console: Console) -> None:
    """Print the table that a run ends with: accuracy and cost, in dim what they are against the teacher's."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", overflow="fold")
    for title in ("top-1 (test)" if figures.is_labelled else f"{figures.acc_name} (test)", *figures.teacher.cost):
        table.add_column(title, justify="right", no_wrap=True)
    best = figures.best_obvious
    beside = () if best is None else (replace(best.figure, name="best obvious way"),)
    for figure in (*figures.rows, *beside):
        gap = "" if figure is figures.teacher else points(figure.top1_acc - figures.teacher.top1_acc)
        cells = [_pair(percent(figure.top1_acc, 2), gap)]
        for name in figures.teacher.cost:
            share = None if figure is figures.teacher else share_of(name, figure, figures.teacher)
            cells.append(_pair(quantity(name, figure.cost[name]), "" if share is None else percent(share)))
        table.add_row(Text(figure.name), *cells)
    console.print(table)
    for warning in filter(None, (figures.retraining.warning, below_warning(figures), *figures.warnings)):
        console.print(Text(f"\n{warning}", style="yellow"))


def _pair(value: str, note: str) -> Text:
    """A value and its note, each in a width of its own so that columns line up."""
    return Text.assemble(value, (f"  {note:>6}", "dim"))
