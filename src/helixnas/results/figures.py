"""What networks reach. The final figures, of teacher and student, are the only numbers that saw the test part."""

from dataclasses import dataclass

from helixnas import telling
from helixnas.results.cost import Budget, Cost


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
class Retraining:
    """Which student goes on, "retrained" or "initial", and the top-1 accuracy (0 to 1) of both on the rating part."""

    kept: str
    initial_acc: float
    retrained_acc: float

    @property
    def warning(self) -> str | None:
        """What to do where retraining made the student worse; None where it did not."""
        is_kept = self.kept == "retrained"
        return None if is_kept else telling.retraining_harmed(self.initial_acc, self.retrained_acc)


@dataclass(frozen=True, slots=True)
class Figures:
    """The table that a run ends with. ``machine`` says where latency was measured, and with how many threads.

    ``retraining`` is what the rating part said of it, by which it was kept or not. ``split`` is the digest of the
    data's split. Where not ``is_labelled``, the images had no labels: the teacher's own top-1 stood for them, and each
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
    """What a reader of the table must know too, whole sentences each, with what to do."""
    comparisons: tuple[Comparison, ...] = ()
    split: str = ""
    is_labelled: bool = True

    @property
    def rows(self) -> tuple[Figure, ...]:
        """The three networks of the table, in the order in which people read them."""
        return (self.teacher, self.student_before, self.student)

    @property
    def best_obvious(self) -> Comparison | None:
        """The obvious way that does best on the test part, the chosen architecture apart; None if none was trained."""
        others = [each for each in self.comparisons if each.kind == "obvious" and not each.is_chosen]
        return max(others, key=lambda each: each.figure.top1_acc, default=None)

    @property
    def acc_name(self) -> str:
        """What the accuracies are called."""
        return "top-1 accuracy" if self.is_labelled else "agreement with the teacher"


def mcnemar(num_first_only: int, num_second_only: int) -> float:
    """McNemar's exact test, two-sided (McNemar 1947): how likely so unequal counts are between equal networks.

    Args:
        num_first_only: Images that the first network alone gets right.
        num_second_only: Images that the second network alone gets right.

    Returns:
        p, 0 to 1; 1 where the networks are right on the same images.
    """
    from scipy.stats import binomtest  # takes a second to load, and most who read figures do not need it

    num_discordant = num_first_only + num_second_only
    return float(binomtest(num_first_only, num_discordant).pvalue) if num_discordant else 1.0


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (0 to 1) seen in ``n`` images (Wilson 1927)."""
    from scipy.stats import binomtest  # takes a second to load, and most who read figures do not need it

    interval = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True, slots=True)
class TeacherAccuracy:
    """The teacher's top-1 accuracy (0 to 1) on images of the rating part, which it did not learn from here."""

    top1_acc: float
    num_images: int
    num_classes: int

    def __str__(self) -> str:
        interval = wilson_interval(self.top1_acc, self.num_images)
        return telling.teacher_accuracy(self.top1_acc, self.num_images, interval)

    @property
    def warning(self) -> str | None:
        """What to look at where guessing would be as good; None where it would not."""
        chance = 1 / self.num_classes
        is_better = wilson_interval(self.top1_acc, self.num_images)[0] > chance
        return None if is_better else telling.teacher_at_chance(chance)


@dataclass(frozen=True, slots=True)
class LayerLoss:
    """A layer of the teacher that could be left out, and the distill_loss of its block without it, untrained."""

    block_id: int
    module: str
    distill_loss: float
