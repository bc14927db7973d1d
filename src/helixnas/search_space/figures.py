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
class Figures:
    """The table that a run ends with. ``machine`` says where latency was measured, and with how many threads.

    ``split`` is the digest of the data's split. Where not ``is_labelled``, the images had no labels: the teacher's own
    top-1 stood for them, and each accuracy is the share of images on which a network agrees with the teacher.
    """

    arch_id: str
    teacher: Figure
    student_before: Figure
    student: Figure
    budget: Budget
    num_test_images: int
    machine: dict[str, str]
    split: str = ""
    is_labelled: bool = True

    @property
    def rows(self) -> tuple[Figure, ...]:
        return (self.teacher, self.student_before, self.student)

    @property
    def acc_name(self) -> str:
        """What the accuracies are called."""
        return "top-1 accuracy" if self.is_labelled else "agreement with the teacher"
