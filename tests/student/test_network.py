"""Whole students: assembled from supernets without a tie to them, and deployed with their normalisation."""

import pytest
import torch
from torch import Tensor, nn

from helixnas.cut import CutTeacher
from helixnas.data import ImageSet
from helixnas.search_space import Architecture, SearchSpace
from helixnas.student import BlockSupernet, Deployed, StudentNetwork, assemble
from tests.conftest import whole


@pytest.fixture
def supernets(space: SearchSpace, teacher: CutTeacher) -> list[BlockSupernet]:
    return [BlockSupernet(*pair).eval() for pair in zip(space.blocks, teacher.blocks, strict=True)]


@pytest.fixture
def student(supernets: list[BlockSupernet], space: SearchSpace, teacher: CutTeacher) -> StudentNetwork:
    return assemble(teacher.stem, supernets, teacher.head, space.parse("1:1-2:0.1-0:0")).eval()


@pytest.fixture
def images(parts: dict[str, ImageSet]) -> Tensor:
    return parts["rating"].normalized()[:16]


def test_the_teachers_own_paths_make_the_teacher(
    supernets: list[BlockSupernet], space: SearchSpace, teacher: CutTeacher, images: Tensor
) -> None:
    student = assemble(teacher.stem, supernets, teacher.head, space.parse("0:0-0:0-0:0")).eval()
    assert torch.equal(student(images), teacher.network(images))


def test_a_student_runs_the_path_of_each_block_in_a_row(
    student: StudentNetwork, supernets: list[BlockSupernet], space: SearchSpace, teacher: CutTeacher, images: Tensor
) -> None:
    x = teacher.stem(images)
    for supernet, path in zip(supernets, space.parse("1:1-2:0.1-0:0").paths, strict=True):
        x = supernet(x, path)
    assert torch.equal(student(images), teacher.head(x))


def test_a_student_holds_no_candidate_that_was_not_chosen(student: StudentNetwork, space: SearchSpace) -> None:
    paths = space.parse("1:1-2:0.1-0:0").paths
    assert [len(block) for block in student.blocks] == [len(path.choices) for path in paths] == [1, 2, 1]


def test_training_a_student_changes_neither_teacher_nor_supernets(
    student: StudentNetwork, supernets: list[BlockSupernet], teacher: CutTeacher, images: Tensor
) -> None:
    others = [*supernets, teacher.network]
    before = [{name: tensor.clone() for name, tensor in net.state_dict().items()} for net in others]
    student.train()(images).square().mean().backward()
    torch.optim.SGD(student.parameters(), 0.1).step()
    for network, state in zip(others, before, strict=True):
        assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
        assert all(parameter.grad is None for parameter in network.parameters())


def test_an_architecture_needs_a_path_for_every_block(
    supernets: list[BlockSupernet], space: SearchSpace, teacher: CutTeacher
) -> None:
    short = Architecture(space.parse("0:0-0:0-0:0").paths[:2])
    with pytest.raises(ValueError, match="zip"):
        assemble(teacher.stem, supernets, teacher.head, short)


def test_a_students_features_are_what_its_blocks_put_out(student: StudentNetwork, images: Tensor) -> None:
    features = student.features(images)
    assert len(features) == 3
    assert torch.equal(features[0], student.blocks[0](student.stem(images)))
    assert torch.equal(student.head(features[-1]), student(images))


def test_a_deployed_network_takes_pixels_from_0_to_1(student: StudentNetwork, parts: dict[str, ImageSet]) -> None:
    part = parts["rating"].first(16)
    deployed = Deployed(student, part.mean, part.std)
    assert torch.allclose(deployed(whole(part).float() / 255), student(part.normalized()), atol=1e-5)


def test_a_deployed_network_carries_its_constants_by_channel() -> None:
    deployed = Deployed(nn.Identity(), (0.1, 0.2, 0.3), (1.0, 2.0, 4.0))
    state = deployed.state_dict()
    assert torch.equal(state["mean"].flatten(), torch.tensor([0.1, 0.2, 0.3]))
    assert torch.equal(deployed(torch.ones(1, 3, 1, 1)).flatten(), torch.tensor([0.9, 0.4, 0.175]))
    restored = Deployed(nn.Identity(), (0.0,) * 3, (1.0,) * 3)
    restored.load_state_dict(state)
    assert torch.equal(restored(torch.ones(1, 3, 2, 2)), deployed(torch.ones(1, 3, 2, 2)))
