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
class Comparison:
    """A network that the chosen student is held against, image by image of the test part.

    ``figure`` is of the network retrained, ``untrained_acc`` its top-1 accuracy before (0 to 1). ``kind`` is "obvious"
    for the teacher without some of its layers, and "random". ``is_chosen``: it is the chosen architecture itself, which
    is not trained twice, so the figure is the chosen student's. ``excess`` is the share of a limit by which it is over
    the budget. ``num_student_only`` images are right by the student alone, ``num_other_only`` by this network alone;
    ``p_value`` is McNemar's, exact and two-sided.
    """

    kind: str
    arch_id: str
    figure: Figure
    untrained_acc: float
    is_chosen: bool
    excess: float
    num_student_only: int
    num_other_only: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The table that a run ends with. ``machine`` says where latency was measured, and with how many threads."""

    arch_id: str
    teacher: Figure
    student_before: Figure
    student: Figure
    budget: Budget
    num_test_images: int
    machine: dict[str, str]
    comparisons: tuple[Comparison, ...] = ()

    @property
    def rows(self) -> tuple[Figure, ...]:
        return (self.teacher, self.student_before, self.student)

    @property
    def best_obvious(self) -> Comparison | None:
        """The obvious way that does best on the test part, the chosen architecture apart; None if none was trained."""
        others = [each for each in self.comparisons if each.kind == "obvious" and not each.is_chosen]
        return max(others, key=lambda each: each.figure.top1_acc, default=None)
