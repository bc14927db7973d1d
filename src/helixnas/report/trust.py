"""How far the tables can be trusted: a sentence for the top of the page, and a table of all predictors. As HTML."""

from html import escape

from helixnas.report.wording import MINUS
from helixnas.results import Agreement, Order, Trust


def trust_html(trust: Trust) -> str:
    """Whether the tables ordered the students that were measured; a warning where that is not shown."""
    kind = "lede" if trust.is_earned else "warning"
    return f'<p class="{kind}">{escape(str(trust))}</p>'


def trust_tables(trust: Trust) -> str:
    """For each way in which students were measured, the rank agreement of every predictor with their losses."""
    return "".join(_table(order) for order in trust.orders if order.num_students)


def _table(order: Order) -> str:
    how = f"after {order.epochs} epoch{'s' if order.epochs > 1 else ''} of training" if order.epochs else "as assembled"
    head = (
        f'<tr><th scope="col">predictor<small>{order.num_students:,} students {how}</small></th>'
        '<th scope="col">Kendall τ-b<small>+1: the same order</small></th>'
        '<th scope="col">95 %<small>bootstrap over students</small></th>'
        '<th scope="col">tables less this<small>95 %, the same resamples</small></th></tr>'
    )
    rows = "".join(_row(each.predictor, each, is_first=each is order.tables) for each in order.agreements)
    if order.calibrated is not None:
        rows += _row(
            "tables, a weight for each block", order.calibrated, is_first=True, note="fitted without the student"
        )
    return f'<div class="scroll"><table class="figures layers"><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _row(name: str, agreement: Agreement, *, is_first: bool, note: str = "") -> str:
    tau = "none" if agreement.tau is None else _signed(agreement.tau)
    lead = "" if is_first else _interval(agreement.lead)
    return (
        f'<tr><th scope="row">{escape(name)}<small>{escape(note)}</small></th><td><b>{tau}</b></td>'
        f"<td>{_interval(agreement.interval)}</td><td>{lead}</td></tr>"
    )


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{_signed(interval[0])} to {_signed(interval[1])}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", MINUS)
