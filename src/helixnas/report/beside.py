"""The chosen student beside the obvious alternatives, trained alike. In a table and in plain words."""

from html import escape

from helixnas.report.wording import percent, points
from helixnas.results import Comparison, Figures
from helixnas.telling import quantity

TOLD_APART = 0.05
"""McNemar's p below which two networks are told apart."""
COLUMNS = (
    ("untrained", "the teacher's own weights"),
    ("chosen less this", "points"),
    ("one alone is right", "chosen / this"),
    ("p", "McNemar, exact"),
    ("p, Holm", "for all rows together"),
    ("multiply-adds", "madds"),
)
"""Title and note of each column behind the accuracy."""
UNTRAINED = {
    "random": "untrained: distilled",
    "undistilled": "untrained: the teacher's weights and fresh candidates",
    "scratch": "untrained: nothing learnt",
}
"""What the other kinds of rivals are before they are retrained."""


def beside_html(figures: Figures) -> str:
    """The table of all that was compared, and what it says, with a warning where the student is below."""
    sentence, warning = escape(beside_sentence(figures)), below_warning(figures)
    told = f"<p>{sentence}{f' <strong>{escape(warning)}</strong>' if warning else ''}</p>"
    if not figures.comparisons:
        return f'<p class="empty">{sentence}</p>'
    columns = ((figures.acc_name, "retrained"), *COLUMNS)
    head = "".join(f'<th scope="col">{title}<small>{note}</small></th>' for title, note in columns)
    student = figures.student
    accs = percent(student.top1_acc, 2), percent(figures.student_before.top1_acc, 2)
    chosen = _cells(
        "chosen student", "untrained: distilled", (*accs, "", "", "", "", _madds(figures, student.cost["madds"]))
    )
    rows = "".join(_row(each, figures) for each in figures.comparisons)
    return (
        f'{told}<div class="scroll"><table class="figures"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{chosen}{rows}</tbody></table></div>"
    )


def _row(each: Comparison, figures: Figures) -> str:
    notes = [each.arch_id]
    if each.kind in UNTRAINED:
        notes.append(UNTRAINED[each.kind])
    if each.excess:
        notes.append(f"over the budget by {percent(each.excess)}")
    madds = _madds(figures, each.figure.cost["madds"])
    untrained = percent(each.untrained_acc, 2)
    if each.is_chosen:
        notes.append("the chosen architecture itself, not trained twice")
        return _cells(each.figure.name, ", ".join(notes), ("as chosen", untrained, "", "", "", "", madds))
    cells = (
        percent(each.figure.top1_acc, 2),
        untrained,
        points(figures.student.top1_acc - each.figure.top1_acc),
        f"{each.num_student_only} / {each.num_other_only}",
        f"{each.p_value:.2g}",
        f"{each.holm_p:.2g}",
        madds,
    )
    return _cells(each.figure.name, ", ".join(notes), cells)


def _madds(figures: Figures, madds: float) -> str:
    return f"{quantity('madds', madds)} ({percent(madds / figures.teacher.cost['madds'])})"


def _cells(name: str, note: str, values: tuple[str, ...]) -> str:
    cells = "".join(f"<td><b>{value}</b></td>" for value in values)
    return f'<tr><th scope="row">{escape(name)}<small>{escape(note)}</small></th>{cells}</tr>'


def beside_sentence(figures: Figures) -> str:
    """Whether the chosen student can be told apart from the best of the obvious ways."""
    own = next((each for each in figures.comparisons if each.kind == "obvious" and each.is_chosen), None)
    is_obvious = f"The chosen student is itself an obvious way, {own.figure.name}." if own else ""
    best = figures.best_obvious
    if best is None:
        return is_obvious or (
            "No obvious way was trained: compare.enabled is false, compare.num_retrained is 0, or this search space "
            "has no cells of the teacher's own layers."
        )
    difference = figures.student.top1_acc - best.figure.top1_acc
    stands = f"{points(abs(difference)).lstrip('+')} points {'above' if difference > 0 else 'below'}"
    over = f", which is over the budget by {percent(best.excess)}" if best.excess else ""
    verdict = "told apart" if best.p_value < TOLD_APART else "not told apart"
    sentence = (
        f"The chosen student is {stands if difference else 'as good as'} the best obvious way, "
        f"{best.figure.name}{over}. "
        f"The two are {verdict}: of {figures.num_test_images:,} test images it alone is right on "
        f"{best.num_student_only}, the other alone on {best.num_other_only} (McNemar's exact test, "
        f"p = {best.p_value:.2g})."
    )
    return f"{sentence} {is_obvious}".strip()


def below_warning(figures: Figures) -> str | None:
    """What to do where an obvious way does better than the chosen student; None where none does."""
    best = figures.best_obvious
    if best is None or best.figure.top1_acc <= figures.student.top1_acc:
        return None
    return (
        f"The search has not paid: {best.figure.name} reaches {percent(best.figure.top1_acc, 2)}, the chosen student "
        f"{percent(figures.student.top1_acc, 2)}. At a lower search.budget leaving layers out costs more; or train the "
        "supernets longer, by the section distill."
    )
