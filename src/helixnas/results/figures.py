"""The accuracies that networks reach.

The final figures, of teacher and student, are the only numbers that come from the test part.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from helixnas import telling
from helixnas.results.cost import Budget, Cost


@dataclass(frozen=True, slots=True)
class Figure:
    """One network: its name for readers, its top-1 accuracy on the test part (0 to 1), and its measured cost."""

    name: str
    top1_acc: float
    cost: Cost


@dataclass(frozen=True, slots=True)
class Comparison:
    """A network that is compared with the chosen student, image by image of the test part.

    Attributes:
        kind: "obvious" for the teacher without some of its layers; "random"; "undistilled" or "scratch" for the chosen
            architecture without its distilling, or without any weight that was learnt.
        figure: Of the retrained network.
        untrained_acc: Top-1 accuracy before retraining, 0 to 1.
        is_chosen: This is the chosen architecture itself, which is not trained twice: ``figure`` is the student's.
        excess: The share of a limit by which the network is over the budget.
        num_student_only: Images that the student alone gets right.
        num_other_only: Images that this network alone gets right.
        p_value: Of McNemar's test, exact and two-sided.
        holm_p: The same, corrected by Holm for the number of networks that the student is compared with.
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
    holm_p: float = 1.0


@dataclass(frozen=True, slots=True)
class Retraining:
    """The student that is kept, "retrained" or "initial", and the top-1 accuracy (0 to 1) of both.

    The accuracies are on the rating part.
    """

    kept: str
    initial_acc: float
    retrained_acc: float

    @property
    def warning(self) -> str | None:
        """Advice where retraining made the student worse; None where retraining did not."""
        is_kept = self.kept == "retrained"
        return None if is_kept else telling.retraining_harmed(self.initial_acc, self.retrained_acc)


@dataclass(frozen=True, slots=True)
class Figures:
    """The table that a run ends with.

    Attributes:
        machine: The machine that latency was measured on, and the number of threads.
        retraining: The accuracies on the rating part that decided whether retraining was kept.
        split: The digest of the data's split.
        is_labelled: Whether the images have labels. If not, the teacher's top-1 class stands for the label, and each
            accuracy is the share of images on which a network agrees with the teacher.
    """

    arch_id: str
    teacher: Figure
    student_before: Figure
    student: Figure
    budget: Budget
    num_test_images: int
    machine: dict[str, str]
    retraining: Retraining
    warnings: tuple[str, ...] = ()
    """Whole sentences that a reader of the table must know too, each with a remedy."""
    comparisons: tuple[Comparison, ...] = ()
    split: str = ""
    is_labelled: bool = True

    @property
    def rows(self) -> tuple[Figure, ...]:
        """The figures of the teacher, of the student before retraining, and of the student."""
        return (self.teacher, self.student_before, self.student)

    @property
    def best_obvious(self) -> Comparison | None:
        """The most accurate obvious network on the test part; None if none was trained.

        A network that is the chosen architecture itself does not count.
        """
        others = [each for each in self.comparisons if each.kind == "obvious" and not each.is_chosen]
        return max(others, key=lambda each: each.figure.top1_acc, default=None)

    @property
    def acc_name(self) -> str:
        """The name of the accuracies, for readers."""
        return "top-1 accuracy" if self.is_labelled else "agreement with the teacher"


def mcnemar(num_first_only: int, num_second_only: int) -> float:
    """Compare two networks by McNemar's exact test, two-sided (McNemar 1947).

    Args:
        num_first_only: Images that the first network alone gets right.
        num_second_only: Images that the second network alone gets right.

    Returns:
        The p-value, 0 to 1: the probability of counts at least as unequal if both networks were equally good. It is 1
        where the networks are right on the same images.
    """
    from scipy.stats import binomtest  # takes a second to load, and most who read figures do not need it

    num_discordant = num_first_only + num_second_only
    return float(binomtest(num_first_only, num_discordant).pvalue) if num_discordant else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for the number of tests that were made together, by Holm's steps down (Holm 1979).

    Returns:
        In the order given: the chance that any true null among those with p-values at most as high is rejected.
    """
    corrected, so_far = [0.0] * len(p_values), 0.0
    for step, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        so_far = max(so_far, min(1.0, (len(p_values) - step) * p_values[index]))
        corrected[index] = so_far
    return corrected


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share (0 to 1) seen in ``n`` images (Wilson 1927)."""
    from scipy.stats import binomtest  # takes a second to load, and most who read figures do not need it

    interval = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True, slots=True)
class TeacherAccuracy:
    """The teacher's top-1 accuracy (0 to 1) on images of the rating part, which the teacher did not learn from here."""

    top1_acc: float
    num_images: int
    num_classes: int

    def __str__(self) -> str:
        interval = wilson_interval(self.top1_acc, self.num_images)
        return telling.teacher_accuracy(self.top1_acc, self.num_images, interval)

    @property
    def warning(self) -> str | None:
        """Advice where the teacher is no better than guessing; None where the teacher is better."""
        chance = 1 / self.num_classes
        is_better = wilson_interval(self.top1_acc, self.num_images)[0] > chance
        return None if is_better else telling.teacher_at_chance(chance)


@dataclass(frozen=True, slots=True)
class LayerLoss:
    """A droppable layer of the teacher, and the distill_loss of its block without that layer, untrained."""

    block_id: int
    module: str
    distill_loss: float
