"""The final figures: what the teacher and the student reach and cost. The only numbers that saw the test part."""

from dataclasses import dataclass

from helixnas.search_space.budget import Budget, Cost


@dataclass(frozen=True, slots=True)
class Figure:
    """One network: its name for people, its top-1 accuracy on the test part (0 to 1), its measured cost."""

    name: str
    top1_acc: float
    cost: Cost


@dataclass(frozen=True, slots=True)
class Retraining:
    """Which student goes on, "retrained" or "initial", and the top-1 accuracy (0 to 1) of both on the rating part."""

    kept: str
    initial_acc: float
    retrained_acc: float

    @property
    def warning(self) -> str | None:
        """What to do where retraining made the student worse; None where it did not."""
        if self.kept == "retrained":
            return None
        return (
            f"Retraining made the student worse, so it stays as it was: {100 * self.initial_acc:.2f} % of the rating "
            f"images before, {100 * self.retrained_acc:.2f} % after. Change retrain.recipe.lr or retrain.distillation."
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """The table that a run ends with. ``machine`` says where latency was measured, and with how many threads.

    ``retraining`` is what the rating part said of it, by which it was kept or not.
    """

    arch_id: str
    teacher: Figure
    student_before: Figure
    student: Figure
    budget: Budget
    num_test_images: int
    machine: dict[str, str]
    retraining: Retraining

    @property
    def rows(self) -> tuple[Figure, ...]:
        return (self.teacher, self.student_before, self.student)
