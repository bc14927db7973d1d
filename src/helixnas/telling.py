"""Costs and results in words, for people. An edit here repeats the report alone."""

from helixnas.cost_kinds import kind

_SIZES = {
    "": (("G", 1e9), ("M", 1e6), ("K", 1e3)),
    "bytes": ((" GB", 1e9), (" MB", 1e6), (" kB", 1e3)),
    "ms": ((" ms", 0.0),),
}
"""For each unit, the signs behind a number and the sizes from which they are used."""


def quantity(name: str, value: float) -> str:
    """Write a cost for people, in three digits or more.

    Args:
        name: The kind of cost, such as ``madds``.
        value: The cost.

    Returns:
        For example ``5.90M``, ``385.8M``, ``1.94 ms`` or ``812.4 kB``.
    """
    unit = kind(name).unit
    for sign, size in _SIZES[unit]:
        if value >= size:
            scaled = value / (size or 1)
            digits = f"{scaled:#.3g}".rstrip(".") if scaled < 100 else f"{scaled:.1f}"
            return f"{digits}{sign}"
    return f"{value:g} {unit}".strip()


def teacher_accuracy(top1_acc: float, num_images: int, interval: tuple[float, float]) -> str:
    """Say how good the teacher is on the rating part; accuracies are 0 to 1."""
    low, high = interval
    return (
        f"The teacher gets {100 * top1_acc:.2f} % of {num_images:,} rating images right, "
        f"between {100 * low:.1f} and {100 * high:.1f} % with 95 % confidence."
    )


def member(criterion: str) -> str:
    """Say which member of the DNA family rates the paths, and what it reads."""
    if criterion == "population":
        return "DNA++ (siamese), which reads images alone: no label, and nothing that a teacher learnt"
    return f"DNA (teacher), rated by {criterion}"


def teacher_at_chance(chance: float) -> str:
    """Say that the teacher is no better than guessing (``chance``, 0 to 1), and where to look."""
    return (
        f"The teacher must know the data, but is no better than chance, {100 * chance:.3g} %. Check data.mean and "
        "data.std, the order of the classes, data.image_size and teacher.weights. Only where distill.supervision is "
        "siamese need it know nothing."
    )


def retraining_harmed(initial_acc: float, retrained_acc: float) -> str:
    """Say that retraining made the student worse, from one top-1 accuracy (0 to 1) to another, and what to change."""
    return (
        f"Retraining made the student worse, so it stays as it was: {100 * initial_acc:.2f} % of the rating "
        f"images before, {100 * retrained_acc:.2f} % after. Change retrain.recipe.lr or retrain.distillation."
    )


def trained_paths(num_paths: int, beat_constant: int | None, beat_identity: int | None) -> str:
    """Say how many of a block's trained paths are better than a constant, and than leaving the block out."""
    counts = {"a constant": beat_constant, "leaving it out": beat_identity}
    told = [f"{count:,} are better than {what}" for what, count in counts.items() if count is not None]
    return f"of {num_paths:,} trained paths {', '.join(told)}" if told else f"{num_paths:,} trained paths"


def order_of_students(
    epochs: int,
    num_students: int,
    tau: float | None,
    interval: tuple[float, float] | None,
    trivial: tuple[str, float] | None,
    *,
    is_earned: bool,
) -> str:
    """Say whether the tables ordered the students that were measured.

    Args:
        epochs: Epochs for which the students were trained; 0 for as they were assembled.
        num_students: How many were measured.
        tau: Kendall's tau-b of the tables, and its 95 % interval; None where it has no number.
        interval: Of tau.
        trivial: Name and tau of the best trivial predictor.
        is_earned: Whether tau is above 0 by more than its interval, and not below the trivial one.
    """
    plural = "s" if epochs > 1 else ""
    how = f"(the best of those measured) trained for {epochs} epoch{plural}" if epochs else "measured as assembled"
    said = "no number, since all are alike" if tau is None else f"{tau:+.2f}"
    said += f" (95 %: {interval[0]:+.2f} to {interval[1]:+.2f}, n = {num_students})" if interval else ""
    is_shown, is_beaten = interval is not None and interval[0] > 0, trivial is not None and (tau or 0) < trivial[1]
    verdict = "The tables order students" if is_shown else "It is not shown that the tables order students"
    if is_beaten:
        verdict += ", but no better than a trivial predictor" if is_shown else ", and a trivial predictor does better"
    beside = "" if trivial is None else f" The best trivial predictor, {trivial[0]}, has {trivial[1]:+.2f}."
    remedy = "" if is_earned else f" {TRUST_REMEDY}"
    return f"{verdict}: held against {num_students} students {how}, Kendall's tau-b is {said}.{beside}{remedy}"


def unknown_order(num_students: int) -> str:
    """Say that too few students were measured to tell whether the tables order students."""
    return (
        f"Whether the tables order students is not known: {num_students or 'none'} "
        f"{'was' if num_students == 1 or not num_students else 'were'} measured. Raise search.num_trials or "
        "search.measured; neither measures students of a space with widths of its own."
    )


TRUST_REMEDY = (
    "Raise search.measured for a surer figure, distill.updates for better tables, or set search.fallback: measured, "
    "which takes the best student that was measured."
)
"""What to do where the tables are not shown to order students."""
