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


def teacher_at_chance(chance: float) -> str:
    """Say that the teacher is no better than guessing (``chance``, 0 to 1), and where to look."""
    return (
        f"The teacher must know the data, but is no better than chance, {100 * chance:.3g} %. Check data.mean and "
        "data.std, the order of the classes, data.image_size and teacher.weights."
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
