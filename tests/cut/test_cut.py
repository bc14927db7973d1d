"""Cutting at named modules: the pieces are the whole, or one sentence says why not."""

import pytest
import torch
from torch import Tensor, nn

from helixnas.cut import Boundaries, CutTeacher, cut
from helixnas.data import ImageSet
from helixnas.errors import CutError
from helixnas.teacher import block_batch
from tests.conftest import BLOCKS, SmallNet


def test_the_pieces_in_a_row_give_what_the_whole_gives(teacher: CutTeacher, parts: dict[str, ImageSet]) -> None:
    images = parts["rating"].normalized()[:16]
    x = teacher.stem(images)
    for block in teacher.blocks:
        x = block(x)
    assert torch.equal(teacher.head(x), teacher.network(images))
    assert [spec.out_shape for spec in teacher.specs] == [(8, 8, 8), (16, 4, 4), (16, 4, 4)]


def test_a_blocks_input_is_the_target_of_the_block_before(teacher: CutTeacher, parts: dict[str, ImageSet]) -> None:
    images = parts["rating"].normalized()[:4]
    assert torch.equal(block_batch(teacher, 1, images).inputs, block_batch(teacher, 0, images).targets)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([["layer1"], ["layer3"]], r"teacher\.blocks\[1\]\.modules must continue where block 0 ends \('layer2'\)"),
        ([["layer9"]], "'layer9' is none. Near: layer"),
        ([["layer1"], ["layer1"]], r"teacher\.blocks\[1\]"),
        ([["layer1", "layer3"]], "must list every module"),
    ],
)
def test_a_block_list_that_does_not_fit_is_explained(
    small_net: SmallNet, blocks: list[list[str]], message: str
) -> None:
    with pytest.raises(CutError, match=message):
        cut(small_net, blocks, torch.zeros(2, 1, 8, 8))


class Shortcut(SmallNet):
    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(self.stem(x))
        y = self.layer2(x)
        logits: Tensor = self.head((self.layer3(y) + x[:, :1, ::2, ::2]).mean(dim=(2, 3)))
        return logits


class Forgetful(SmallNet):
    """A network that is not the same twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer2 = nn.Sequential(self.layer2, _Noise())


class _Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


def test_a_second_tensor_across_the_cut_is_named() -> None:
    with pytest.raises(CutError, match="One tensor must cross the cut after block 1"):
        cut(Shortcut(), [["layer1"], ["layer2"]], torch.zeros(2, 1, 8, 8))


def test_a_teacher_that_is_not_the_same_twice_fails_the_proof() -> None:
    with pytest.raises(CutError, match="recomposed blocks must equal the teacher"):
        cut(Forgetful(), BLOCKS, torch.zeros(2, 1, 8, 8))


def test_a_cut_by_a_method_of_another_version_is_named() -> None:
    with pytest.raises(CutError, match=r"by one of \('fx', 'export'\), but was cut by 'hooks', .*dvc repro teacher"):
        Boundaries.from_json({"method": "hooks", "names": ["a"], "modules": []})
