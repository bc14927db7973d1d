"""What a reader wants first: the run in a sentence, the table of figures, who chose and what is proven. As HTML."""

import re
from collections.abc import Sequence
from html import escape

from helixnas.cost_kinds import kind
from helixnas.report.wording import (
    TIMES,
    budget_sentence,
    headline,
    loss_sentence,
    optimum_sentence,
    percent,
    points,
    share_of,
    space_sentence,
)
from helixnas.results import Figures, LayerLoss, SearchResult, TeacherAccuracy
from helixnas.search_space import SearchSpace
from helixnas.telling import quantity


def headline_html(figures: Figures) -> str:
    """The headline, its figures set off."""
    sentence = escape(headline(figures))
    aside = re.sub(r"\(.*?\)", lambda found: f"<span>{found[0].replace(' %', '&nbsp;%')}</span>", sentence)
    return re.sub(rf"\d+(?:\.\d+)?( %|{TIMES})", lambda found: f"<b>{found[0]}</b>", aside)


def figures_table(figures: Figures) -> str:
    """The teacher, the student before retraining, the student; each cost with its share of the teacher's as a bar."""
    title = f"{figures.acc_name}<small>{figures.num_test_images:,} test images</small>"
    names = "".join(f'<th scope="col">{kind(name).title}<small>{name}</small></th>' for name in figures.teacher.cost)
    rows = ""
    for figure in figures.rows:
        acc, whole = figure.top1_acc, figures.teacher.top1_acc
        cells = _cell(percent(acc, 2))
        if figure is not figures.teacher and whole:
            cells = _cell(percent(acc, 2), acc / whole, f"{points(acc - whole)} points, ")
        for name in figures.teacher.cost:
            share = None if figure is figures.teacher else share_of(name, figure, figures.teacher)
            cells += _cell(quantity(name, figure.cost[name]), share)
        rows += f'<tr><th scope="row">{escape(figure.name)}</th>{cells}</tr>'
    return (
        f'<table class="figures"><thead><tr><td></td><th scope="col">{title}</th>{names}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _cell(value: str, share: float | None = None, note: str = "") -> str:
    """A value; where it is held against the teacher's, its share in words and as a bar."""
    bar = "" if share is None else f'<small>{note}{percent(share)}</small><i style="--share:{min(share, 1):.4f}"></i>'
    return f"<td><b>{value}</b>{bar}</td>"


def losses_html(figures: Figures) -> str:
    """What was lost or gained, and a warning where retraining did harm."""
    warning = figures.retraining.warning
    return escape(loss_sentence(figures)) + (f" <strong>{escape(warning)}</strong>" if warning else "")


def teacher_html(accuracy: TeacherAccuracy | None, layers: Sequence[LayerLoss]) -> str:
    """How good the teacher is on the rating part, if that has labels, and what leaving out each of its layers costs."""
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(layer.module)}</code></th><td>{layer.block_id}</td>'
        f"<td><b>{layer.distill_loss:.3f}</b></td></tr>"
        for layer in layers
    )
    head = (
        '<tr><th scope="col">layer left out</th><th scope="col">block</th><th scope="col">loss of its block'
        "<small>distill_loss, untrained</small></th></tr>"
    )
    table = (
        f'<div class="scroll"><table class="figures layers"><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    )
    judged = "" if accuracy is None else f"<p>{escape(str(accuracy))}</p>"
    return judged + (table if layers else "")


def decision_list(figures: Figures, result: SearchResult, space: SearchSpace) -> str:
    """The architecture, the budget, who chose it and why, what is proven."""
    return definition_list(
        {
            "Architecture": f"<code>{escape(figures.arch_id)}</code>",
            "Budget": escape(budget_sentence(figures)),
            "Chosen by": f"<b>{escape(result.chosen_by)}</b>. {escape(result.reason)}",
            "Exact optimum": escape(optimum_sentence(result)),
            "Search space": escape(space_sentence(space.num_architectures, result)),
        }
    )


def definition_list(entries: dict[str, str]) -> str:
    """Terms and their HTML, in order."""
    return "<dl>" + "".join(f"<dt>{escape(term)}</dt><dd>{text}</dd>" for term, text in entries.items()) + "</dl>"
