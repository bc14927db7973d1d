"""The automatic cut: every kind of network falls apart where one tensor crosses, or is told why it does not."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helixnas.cut import Boundaries, CutTeacher, cut, prove, recut
from helixnas.errors import CutError
from tests.cut import networks, odd_networks
from tests.cut.networks import DenseNet, ResNet, VisionTransformer
from tests.cut.odd_networks import ReadsShapes

IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
STAGES = [("stage1",), ("stage2",), ("stage3",)]
BLOCKS = [("blocks.0", "blocks.1"), ("blocks.2", "blocks.3"), ("blocks.4", "blocks.5")]
CUT: dict[type[nn.Module], tuple[str, list[tuple[str, ...]]]] = {
    ResNet: ("fx", STAGES),
    DenseNet: ("fx", [("dense1",), ("down1", "dense2"), ("down2", "dense3")]),
    VisionTransformer: ("fx", BLOCKS),
    networks.ChannelsLast: ("fx", [("stage1.0",), ("stage1.1", "stage1.2"), ("narrow", "stage2")]),
    odd_networks.OpaqueInside: ("fx", STAGES),
    networks.InPlace: ("fx", [("layers.0", "layers.1"), ("layers.2", "layers.3"), ("layers.4", "layers.5")]),
    networks.InPlaceBetween: ("fx", [("stage1.0",), ("stage1.1", "stage2"), ("stage3.0",)]),
    networks.Windows: ("fx", STAGES),
    networks.PooledConvolution: ("fx", STAGES),
    networks.PassesMore: ("fx", STAGES),
    networks.GivesLists: ("fx", [("stage1",), ("twice", "stage2"), ("stage3",)]),
    networks.SharesWeight: ("fx", [("light",), ("heavy.first",), ("heavy.second",)]),
    odd_networks.ChecksData: ("fx", STAGES),
    ReadsShapes: ("export", BLOCKS),
}
"""Each network that can be cut into three blocks, with the way that finds them, and the modules of each."""


def made(kind: type[nn.Module]) -> nn.Module:
    """Without a weight that is zero or one, so that every step counts."""
    torch.manual_seed(0)
    network = kind()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    return network


def run(teacher: CutTeacher, x: Tensor) -> Tensor:
    num_images = len(x)
    x = teacher.stem(x)
    for block in teacher.blocks:
        assert len(x) == num_images
        x = block(x)
    logits: Tensor = teacher.head(x)
    return logits


@pytest.fixture(params=CUT, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[nn.Module]:
    found: type[nn.Module] = request.param
    return found


def test_the_pieces_are_the_whole_for_any_number_of_images(kind: type[nn.Module]) -> None:
    network = made(kind)
    teacher = cut(network, 3, IMAGES)
    for images in (IMAGES, IMAGES[:1], torch.cat([IMAGES, -IMAGES])):
        torch.testing.assert_close(run(teacher, images), network(images), rtol=1e-5, atol=1e-5)


def test_a_network_is_cut_where_its_stages_end(kind: type[nn.Module]) -> None:
    teacher = cut(made(kind), 3, IMAGES)
    assert (teacher.boundaries.method, [spec.teacher_modules for spec in teacher.specs]) == CUT[kind]


def test_what_was_saved_cuts_a_fresh_network_as_the_first_was_cut(kind: type[nn.Module]) -> None:
    first = cut(made(kind), 3, IMAGES)
    fresh = kind()
    fresh.load_state_dict(first.network.state_dict())
    saved: Any = json.loads(json.dumps(asdict(first.boundaries)))
    again = recut(fresh, Boundaries.from_json(saved), first.specs, IMAGES)
    assert again.boundaries == first.boundaries
    for one, other in zip((first.stem, *first.blocks), (again.stem, *again.blocks), strict=True):
        assert one.state_dict().keys() == other.state_dict().keys()
    assert torch.equal(run(again, IMAGES), run(first, IMAGES))


def test_a_search_finds_the_same_again(kind: type[nn.Module]) -> None:
    first, second = (cut(made(kind), 3, IMAGES[:num_images]) for num_images in (4, 2))
    assert (first.boundaries, first.specs) == (second.boundaries, second.specs)


def test_the_pieces_share_the_teachers_weights_and_split_them(kind: type[nn.Module]) -> None:
    network = made(kind)
    teacher = cut(network, 3, IMAGES)
    held = [{id(weight) for weight in piece.parameters()} for piece in (teacher.stem, *teacher.blocks, teacher.head)]
    assert set.union(*held) == {id(weight) for weight in network.parameters()}
    shared = {id(weight) for name, weight in network.named_parameters() if name.endswith("scale")}
    assert sum(len(ids - shared) for ids in held) == len(set.union(*held) - shared)
    before = run(teacher, IMAGES)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1.1)
    assert not torch.allclose(run(teacher, IMAGES), before)
    torch.testing.assert_close(run(teacher, IMAGES), network(IMAGES), rtol=1e-4, atol=1e-4)


def test_the_pieces_run_the_teachers_own_modules_unless_torch_exported_them(kind: type[nn.Module]) -> None:
    network = made(kind)
    teacher = cut(network, 3, IMAGES)
    pieces = (teacher.stem, *teacher.blocks, teacher.head)
    layers = {layer for piece in pieces for layer in piece.modules() if isinstance(layer, nn.Conv2d | nn.Linear)}
    assert layers <= set(network.modules())
    assert bool(layers) == (CUT[kind][0] != "export")


def test_a_gradient_flows_through_every_piece(kind: type[nn.Module]) -> None:
    network = made(kind)
    teacher = cut(network, 3, IMAGES)
    run(teacher, IMAGES).square().sum().backward()
    from_pieces = [weight.grad.clone() for weight in network.parameters() if weight.grad is not None]
    assert len(from_pieces) == len(list(network.parameters()))
    network.zero_grad()
    network(IMAGES).square().sum().backward()
    for weight, grad in zip(network.parameters(), from_pieces, strict=True):
        torch.testing.assert_close(weight.grad, grad, rtol=1e-3, atol=1e-3)


def test_a_search_leaves_the_network_as_it_was(kind: type[nn.Module]) -> None:
    network = made(kind)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    attributes = {path: set(vars(module)) for path, module in network.named_modules()}
    cut(network, 3, IMAGES)
    assert {path: set(vars(module)) for path, module in network.named_modules()} == attributes
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("kind", "layout", "shapes"),
    [
        (ResNet, "NCHW", [(8, 16, 16), (8, 16, 16), (16, 8, 8), (32, 4, 4)]),
        (VisionTransformer, "NLC", [(17, 12)] * 4),
        (networks.ChannelsLast, "NHWC", [(8, 8, 16), (8, 8, 16), (8, 8, 16), (8, 8, 8)]),
    ],
)
def test_features_are_maps_either_way_or_tokens(kind: type[nn.Module], layout: str, shapes: list[Any]) -> None:
    specs = cut(made(kind), 3, IMAGES).specs
    assert [specs[0].in_shape, *(spec.out_shape for spec in specs)] == shapes
    assert {spec.layout for spec in specs} == {layout}
    assert {spec.in_layout for spec in specs} == {None}


def test_a_dense_network_is_cut_between_its_dense_blocks_only() -> None:
    network = made(DenseNet)
    names = {name for num_blocks in range(1, 6) for name in cut(network, num_blocks, IMAGES).boundaries.names}
    assert names == {"stem", "dense1", "down1", "dense2", "down2", "dense3"}


def test_more_blocks_than_stages_are_cut_inside_the_heaviest() -> None:
    assert [len(spec.teacher_modules) for spec in cut(made(ResNet), 1, IMAGES).specs] == [3]
    specs = cut(made(ResNet), 4, IMAGES).specs  # the first stage has most multiply-adds
    assert [spec.out_shape for spec in specs] == [(8, 16, 16), (8, 16, 16), (16, 8, 8), (32, 4, 4)]


@pytest.mark.parametrize(
    ("kind", "reasons"),
    [
        (
            odd_networks.Unet,
            [
                r"3 blocks need 4 places where exactly one tensor crosses.* but 1 were found: stem\.",
                "Behind .* 3 cross",
            ],
        ),
        (odd_networks.Flips, ["torch.fx: its own code is no fixed graph: .*control flow", "torch.export:"]),
        (odd_networks.Noisy, ["must give the same twice in eval mode, but differs first in stage2.1"]),
        (odd_networks.Counting, ["must give the same twice in eval mode, but differs first in its own code"]),
        (odd_networks.Pair, ["must return one tensor, but returns tuple"]),
        (
            odd_networks.ReadsDataOutside,
            [
                "torch.fx: its own code is no fixed graph: .*control flow",
                "torch.export:",
                "decorated with @torch.fx.wrap",
            ],
        ),
        (odd_networks.TwoImages, ["must take one tensor, but takes 2: x, y"]),
    ],
)
def test_what_cannot_be_cut_is_told_with_where_and_why(kind: type[nn.Module], reasons: list[str]) -> None:
    for reason in reasons:
        with pytest.raises(CutError, match=reason):
            cut(made(kind), 3, IMAGES)


def test_too_many_blocks_are_refused_with_the_places_that_there_are() -> None:
    places = "stem, dense1, down1, dense2, down2, dense3"
    with pytest.raises(CutError, match=rf"7 blocks need 8 places .* but 6 were found: {places}\. Ask for at most 5\."):
        cut(made(DenseNet), 7, IMAGES)


def test_a_cut_of_another_network_is_refused() -> None:
    boundaries = cut(made(ResNet), 3, IMAGES).boundaries
    with pytest.raises(CutError, match="must have the steps that it was cut at, but lacks stage1, stage2, stage3"):
        recut(made(DenseNet), boundaries, (), IMAGES)


def test_a_block_that_changes_its_input_in_place_is_refused() -> None:
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True)]
    network = nn.Sequential(*layers, nn.Conv2d(8, 8, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(CutError, match="Block 1 must leave its input as it is, but changes it in place"):
        cut(network, [["1"], ["2", "3"]], IMAGES)
    assert cut(network, [["1", "2"], ["3"]], IMAGES).specs[1].in_shape == (8, 16, 16)


def test_a_piece_that_serves_one_number_of_images_alone_fails_the_proof() -> None:
    teacher = cut(made(ResNet), 3, IMAGES)
    baked = replace(teacher, head=nn.Sequential(_Baked(len(IMAGES)), teacher.head))
    with pytest.raises(CutError, match=r"recomposed blocks must equal the teacher, but differ by .* on 1 images"):
        prove(baked, IMAGES)


class _Baked(nn.Module):
    def __init__(self, num_images: int) -> None:
        super().__init__()
        self.num_images = num_images

    def forward(self, x: Tensor) -> Tensor:
        return x if len(x) == self.num_images else 2 * x


def test_where_a_feature_is_needed_later_the_last_block_has_both_its_uses() -> None:
    teacher = cut(made(odd_networks.NeededLater), 3, IMAGES)
    assert teacher.boundaries.names[-1] == "add"
    assert torch.equal(run(teacher, IMAGES), teacher.network(IMAGES))


def test_a_cut_is_proved_again() -> None:
    first = cut(made(ResNet), 3, IMAGES)
    with pytest.raises(CutError, match="recomposed blocks must equal the teacher"):
        recut(made(odd_networks.Noisy), first.boundaries, first.specs, IMAGES)


@pytest.mark.parametrize("kind", [ResNet, ReadsShapes, VisionTransformer])
def test_a_teacher_moves_with_all_that_its_pieces_hold(kind: type[nn.Module]) -> None:
    teacher = cut(made(kind), 3, IMAGES)
    teacher.to(torch.device("meta"))
    for piece in (teacher.network, teacher.stem, *teacher.blocks, teacher.head):
        held = [*piece.parameters(), *piece.buffers()]
        assert {tensor.device.type for tensor in held} == {"meta"}
