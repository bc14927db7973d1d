"""The forward pass as a graph: what can be cut into pieces, and one sentence for what cannot."""

import pytest
import torch
from torch import Tensor, nn

from helixnas.cut import CutTeacher, cut
from helixnas.errors import CutError
from tests.conftest import BLOCKS, SmallNet

IMAGES = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Scaled(SmallNet):
    """Reads one parameter of its own before, between and behind the blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(self.stem(x) * self.scale)
        x = self.layer3(self.layer2(x) * self.scale) * self.scale
        logits: Tensor = self.head(x.mean(dim=(2, 3)) * self.scale)
        return logits


class Branching(SmallNet):
    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return super().forward(x[:, :1]) if x.sum() > 0 else super().forward(x[:, 1:2])


class BranchingInside(SmallNet):
    """Depends on the data, but only within a module that no cut opens."""

    def __init__(self) -> None:
        super().__init__()
        self.layer2 = nn.Sequential(self.layer2, _Clamp())


class _Clamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(max=1) if x.sum() > 0 else x


class Pair(SmallNet):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        logits = super().forward(x)
        return logits, logits


class TwoInputs(SmallNet):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x + y)


class Spare(SmallNet):
    """Takes a second argument that its code never reads."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(x)


class Twice(SmallNet):
    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


class Tokens(nn.Module):
    """Blocks that pass on tokens [N, L, C]."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 6)
        self.blocks = nn.Sequential(nn.Linear(6, 6), nn.GELU(), nn.Linear(6, 6))
        self.head = nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(self.embed(x[:, 0])).mean(dim=1))
        return logits


def run(teacher: CutTeacher, x: Tensor) -> Tensor:
    x = teacher.stem(x)
    for block in teacher.blocks:
        x = block(x)
    logits: Tensor = teacher.head(x)
    return logits


@pytest.mark.parametrize("kind", [SmallNet, Scaled, BranchingInside, Spare])
def test_what_one_tensor_at_a_time_can_be_told_of_is_cut(kind: type[SmallNet]) -> None:
    torch.manual_seed(0)
    network = kind()
    teacher = cut(network, BLOCKS, IMAGES)
    assert torch.equal(run(teacher, IMAGES), network(IMAGES))
    pieces = [teacher.stem, *teacher.blocks, teacher.head]
    assert [[node.op for node in piece.graph.nodes].count("placeholder") for piece in pieces] == [1] * 5
    assert [spec.teacher_modules for spec in teacher.specs] == [("layer1",), ("layer2",), ("layer3",)]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Branching, r"around teacher\.blocks must be a fixed graph, but: .*Name modules that hold the data-dependent"),
        (Pair, "must return one tensor, but returns"),
        (TwoInputs, "must take one tensor, but takes 2: x, y"),
        (Twice, r"teacher\.blocks\[2\] must name modules .* calls once, but 'layer3' is called 2 times"),
    ],
)
def test_what_cannot_be_cut_is_told_in_a_sentence(kind: type[SmallNet], message: str) -> None:
    with pytest.raises(CutError, match=message):
        cut(kind(), BLOCKS, IMAGES)


def test_a_cut_may_lie_inside_a_module_and_cover_several() -> None:
    torch.manual_seed(0)
    network = SmallNet()
    teacher = cut(network, [["layer1.0", "layer1.1"], ["layer1.2", "layer2"]], IMAGES)
    assert [spec.out_shape for spec in teacher.specs] == [(8, 8, 8), (16, 4, 4)]
    assert torch.equal(run(teacher, IMAGES), network(IMAGES))
    assert dict(teacher.head.named_modules()).keys() >= {"layer3", "head"}


def test_tokens_are_a_layout_of_their_own() -> None:
    teacher = cut(Tokens(), [["blocks.0", "blocks.1"], ["blocks.2"]], IMAGES)
    assert {spec.layout for spec in teacher.specs} == {"NLC"}
    assert [(spec.in_shape, spec.out_width) for spec in teacher.specs] == [((8, 6), 6)] * 2


@pytest.mark.parametrize("kind", [SmallNet, Scaled])
def test_the_pieces_share_the_networks_weights_and_split_them(kind: type[SmallNet]) -> None:
    network = kind()
    teacher = cut(network, BLOCKS, IMAGES)
    pieces = [teacher.stem, *teacher.blocks, teacher.head]
    own = {id(parameter) for parameter in network.parameters()}
    held = [{id(parameter) for parameter in piece.parameters()} for piece in pieces]
    assert set.union(*held) == own
    shared = {id(network.scale)} if isinstance(network, Scaled) else set()
    assert sum(len(ids - shared) for ids in held) == len(own - shared)


def test_a_cut_leaves_the_network_in_eval_mode_and_its_statistics_alone() -> None:
    network = SmallNet().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    teacher = cut(network, BLOCKS, IMAGES)
    assert not any(module.training for module in (network, *teacher.blocks))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
