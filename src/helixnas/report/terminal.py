"""The final figures on the terminal."""

from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from helixnas.report.beside import below_warning
from helixnas.report.wording import percent, points, share_of
from helixnas.results import Figure, Figures
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
        costs = [_cost(name, figure, figures.teacher) for name in figures.teacher.cost]
        table.add_row(Text(figure.name), _accuracy(figure, figures.teacher), *costs)
    console.print(table)
    if figures.trust:
        console.print(Text(f"\n{figures.trust}"))
    for warning in filter(None, (figures.retraining.warning, below_warning(figures), *figures.warnings)):
        console.print(Text(f"\n{warning}", style="yellow"))


def _accuracy(figure: Figure, teacher: Figure) -> Text:
    gap = "" if figure is teacher else points(figure.top1_acc - teacher.top1_acc)
    return _pair(percent(figure.top1_acc, 2), gap)


def _cost(name: str, figure: Figure, teacher: Figure) -> Text:
    share = share_of(name, figure, teacher)
    return _pair(quantity(name, figure.cost[name]), "" if share is None or figure is teacher else percent(share))


def _pair(value: str, note: str) -> Text:
    """A value and its note, each in a width of its own so that columns line up."""
    return Text.assemble(value, (f"  {note:>6}", "dim"))
