"""What a student learns from: each part alone is what it says, and the teacher stays as it is."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

from helixnas.config.recipes import Augment
from helixnas.config.schema import Distillation
from helixnas.cut import CutTeacher
from helixnas.data import ImageSet
from helixnas.distill import FeatureBatches
from helixnas.errors import ConfigError
from helixnas.fit import Batch
from helixnas.retrain.guided_loss import GuidedLoss
from helixnas.search_space import SearchSpace
from helixnas.student import BlockSupernet, StudentNetwork, assemble
from helixnas.teacher import cut_features

VARIANCES = [torch.full((width,), value, dtype=torch.float64) for width, value in ((8, 2.0), (16, 0.5), (16, 1.0))]
NOTHING = {"labels": 0.0, "logits": 0.0, "features": 0.0, "temperature": 2.0}


def guided(teacher: CutTeacher, variances: list[Tensor] | None = VARIANCES, **weights: float) -> GuidedLoss:
    return GuidedLoss(teacher, variances, Distillation(**(NOTHING | weights)), 0.1)


@pytest.fixture
def student(space: SearchSpace, teacher: CutTeacher) -> StudentNetwork:
    torch.manual_seed(3)
    supernets = [BlockSupernet(*pair) for pair in zip(space.blocks, teacher.blocks, strict=True)]
    return assemble(teacher.stem, supernets, teacher.head, space.parse("1:1-2:0.1-0:0")).requires_grad_(True).train()


@pytest.fixture
def inputs(parts: dict[str, ImageSet]) -> Tensor:
    return parts["train"].normalized()[:32]


@pytest.fixture
def labels(parts: dict[str, ImageSet]) -> Tensor:
    return parts["train"].labels[:32]


def test_labels_alone_are_the_smoothed_cross_entropy(
    teacher: CutTeacher, student: StudentNetwork, inputs: Tensor, labels: Tensor
) -> None:
    student.eval()
    wanted = cross_entropy(student(inputs), labels, label_smoothing=0.1)
    assert torch.allclose(guided(teacher, labels=2.0)(student, Batch(inputs, labels)), 2 * wanted)


def test_logits_alone_are_the_divergence_from_the_teachers_softened_answer(
    teacher: CutTeacher, student: StudentNetwork, inputs: Tensor, labels: Tensor
) -> None:
    student.eval()
    ours, wanted = ((network(inputs) / 2).log_softmax(1) for network in (student, teacher.network))
    divergence = 4 * kl_div(ours, wanted, reduction="batchmean", log_target=True)
    assert torch.allclose(guided(teacher, logits=0.5)(student, Batch(inputs, labels)), 0.5 * divergence)


def test_features_alone_are_the_mean_over_blocks_in_units_of_their_variance(
    teacher: CutTeacher, student: StudentNetwork, inputs: Tensor, labels: Tensor
) -> None:
    student.eval()
    _, *targets = cut_features(teacher, inputs, 3)
    pairs = zip(student.features(inputs), targets, (2.0, 0.5, 1.0), strict=True)
    wanted = sum((ours - target).square().mean() / variance for ours, target, variance in pairs) / 3
    assert float(wanted.detach()) > 0.01
    assert torch.allclose(guided(teacher, features=3.0)(student, Batch(inputs, labels)), 3 * wanted)


def test_the_teacher_itself_has_nothing_to_learn_from_its_features_and_logits(
    teacher: CutTeacher, space: SearchSpace, inputs: Tensor, labels: Tensor
) -> None:
    supernets = [BlockSupernet(*pair).eval() for pair in zip(space.blocks, teacher.blocks, strict=True)]
    itself = assemble(teacher.stem, supernets, teacher.head, space.parse("0:0-0:0-0:0")).eval()
    assert float(guided(teacher, logits=1.0, features=1.0)(itself, Batch(inputs, labels)).detach()) == pytest.approx(
        0, abs=1e-6
    )


@pytest.mark.parametrize("weights", [{"logits": 1.0}, {"features": 1.0}, {"logits": 0.5, "features": 1.0}])
def test_images_without_labels_are_learned_from(
    teacher: CutTeacher, student: StudentNetwork, inputs: Tensor, labels: Tensor, weights: Mapping[str, float]
) -> None:
    student.eval()
    loss = guided(teacher, **weights)
    assert torch.equal(loss(student, Batch(inputs, torch.full_like(labels, -1))), loss(student, Batch(inputs, labels)))


def test_of_labels_and_none_only_those_there_are_count(
    teacher: CutTeacher, student: StudentNetwork, inputs: Tensor, labels: Tensor
) -> None:
    student.eval()
    loss = guided(teacher, labels=1.0)
    half = torch.where(torch.arange(32) < 16, labels, -1)
    assert torch.allclose(loss(student, Batch(inputs, half)), loss(student, Batch(inputs[:16], labels[:16])) / 2)
    assert float(loss(student, Batch(inputs, torch.full_like(labels, -1))).detach()) == 0


def test_the_teacher_is_run_once_a_batch_and_stays_as_it_is(
    teacher: CutTeacher, student: StudentNetwork, inputs: Tensor, labels: Tensor
) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.network.state_dict().items()}
    passes: list[nn.Module] = []
    for piece in (teacher.stem, *teacher.blocks, teacher.head):
        piece.register_forward_hook(lambda module, *_: passes.append(module))
    guided(teacher, labels=0.5, logits=0.5, features=1.0)(student, Batch(inputs, labels)).backward()
    assert len(passes) == 5
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.network.state_dict().items())
    assert all(parameter.grad is None for parameter in teacher.network.parameters())
    assert all(parameter.grad is not None for parameter in student.parameters())


def test_known_views_cost_no_pass_of_the_blocks_and_give_the_same_bits(
    teacher: CutTeacher, student: StudentNetwork, parts: dict[str, ImageSet], tmp_path: Path
) -> None:
    teacher.network.to(memory_format=torch.channels_last)
    student.eval()
    train = parts["train"].first(48)
    augment = Augment(min_scale=1, hflip=0.5, rand_augment=None, random_erasing=0)
    batches = FeatureBatches(teacher, train, augment, 32, 0, torch.device("cpu"))
    batches.fill(tmp_path, "key")
    images = train.normalized()
    views = torch.tensor([*range(16), *range(48, 64)])  # the first images as they are, then their mirrors
    batch = Batch(torch.cat([images[:16], images[:16].flip(3)]), train.labels[:16].repeat(2), views)
    passes: list[nn.Module] = []
    teacher.stem.register_forward_hook(lambda module, *_: passes.append(module))
    settings = Distillation(**(NOTHING | {"logits": 0.5, "features": 1.0}))
    cached = GuidedLoss(teacher, VARIANCES, settings, 0.1, batches.cache)(student, batch)
    streamed = GuidedLoss(teacher, VARIANCES, settings, 0.1)(student, batch)
    assert torch.equal(cached, streamed)
    assert len(passes) == 1  # of the second loss


def test_without_a_common_interface_features_count_as_nothing(
    teacher: CutTeacher, student: StudentNetwork, inputs: Tensor, labels: Tensor
) -> None:
    student.eval()
    without = guided(teacher, None, logits=1.0, features=1.0)(student, Batch(inputs, labels))
    assert torch.equal(without, guided(teacher, logits=1.0)(student, Batch(inputs, labels)))
    any_network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    assert guided(teacher, None, features=1.0, labels=1.0)(any_network, Batch(inputs, labels)).requires_grad


def test_a_student_that_is_left_with_nothing_to_learn_from_is_told(teacher: CutTeacher) -> None:
    with pytest.raises(ConfigError, match=r"retrain\.distillation\.labels or logits must be above 0 where"):
        guided(teacher, None, features=1.0)
