"""Any trained network: from timm, torchvision, a function of the user's own, an exported program; any weights file."""

import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from helixnas import artifacts
from helixnas.config.schema import Teacher
from helixnas.cut import cut
from helixnas.errors import ArtifactError, ConfigError
from helixnas.teacher import FromPixels, create, load_program
from tests.conftest import BLOCKS, SmallNet

GREY = (1, 32, 32)
COLOUR = (3, 32, 32)


def settings(source: str, **values: Any) -> Teacher:
    given = {"source": source, "model_args": {}, "pretrained": False, "weights": None}
    return Teacher.model_construct(**(given | values))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a network of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    (tmp_path / "mine.py").write_text(
        "from tests.conftest import SmallNet\n"
        "def net(width=8):\n"
        "    assert width == 8, 'width must be 8'\n"
        "    return SmallNet()\n"
        "class Keyed(SmallNet):\n"
        "    def forward(self, x):\n"
        "        return {}['x']\n"
        "def bare():\n"
        "    import torch\n"
        "    return torch.nn.Module()\n"
        "def number():\n"
        "    return 7\n"
    )
    return tmp_path


def test_timm_takes_the_channels_and_classes_of_the_data() -> None:
    network = create(settings("timm:resnet10t"), GREY, 7)
    assert network(torch.rand(2, *GREY)).shape == (2, 7)


def test_torchvision_gives_its_classifiers() -> None:
    network = create(settings("torchvision:squeezenet1_1"), COLOUR, 7)
    assert network(torch.rand(2, *COLOUR)).shape == (2, 7)


def test_a_function_of_the_users_own_gets_the_arguments(own: Path) -> None:
    assert isinstance(create(settings("factory:mine:net", model_args={"width": 8}), (1, 8, 8), 10), SmallNet)


def test_without_labels_a_network_tells_as_many_classes_as_it_was_made_for(own: Path) -> None:
    made = settings("timm:resnet10t", model_args={"num_classes": 7})
    assert create(made, GREY, None)(torch.rand(2, *GREY)).shape == (2, 7)
    assert create(settings("torchvision:squeezenet1_1"), COLOUR, None)(torch.rand(2, *COLOUR)).shape == (2, 1000)
    assert isinstance(create(settings("factory:mine:net"), (1, 8, 8), None), SmallNet)
    with pytest.raises(
        ConfigError, match=r"must tell two classes or more, \[2, K\] for two images, but gives \(2, 1\)"
    ):
        create(settings("timm:resnet10t", model_args={"num_classes": 1}), GREY, None)


@pytest.mark.parametrize(
    ("source", "values", "shape", "message"),
    [
        ("timm:resnet81", {}, GREY, r"model of timm, but is 'resnet81'. Near: resnet"),
        ("torchvision:resnet19", {}, COLOUR, r"classifier of torchvision, but is 'resnet19'. Near: resnet18"),
        ("torchvision:squeezenet1_1", {}, GREY, r"must take images of 1x32x32, but: .* Change data\.channels"),
        ("timm:resnet10t", {"model_args": {"depth": 3}}, GREY, r"model_args must be what timm's resnet10t takes"),
        (
            "factory:mine:net",
            {"model_args": {"width": 9}},
            (1, 8, 8),
            r"model_args and return, but: AssertionError: width must be 8\. In",
        ),
        ("factory:mine:net", {}, (1, 8, 8), r"tell the 7 classes .* but gives \(2, 10\)"),
        ("factory:mine:net", {"model_args": {"depth": 9}}, (1, 8, 8), r"but: TypeError: net\(\) got an unexpected"),
        ("factory:mine:Keyed", {}, (1, 8, 8), r"but: KeyError: 'x'\. Change data\.channels.* names mine:Keyed, which"),
        ("factory:mine:bare", {}, (1, 8, 8), r"must take images of 1x8x8, but: NotImplementedError: Module"),
        ("factory:mine:number", {}, (1, 8, 8), r"must return a torch\.nn\.Module, but returns int"),
        ("factory:mine:net", {"pretrained": True}, (1, 8, 8), r"teacher\.pretrained is for timm and torchvision"),
        ("factory:mine:nett", {}, (1, 8, 8), r"teacher\.source must name a function of mine, but it has no 'nett'"),
    ],
)
def test_what_cannot_be_a_teacher_is_told(
    own: Path, source: str, values: dict[str, Any], shape: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        create(settings(source, **values), shape, 7)


def saved(network: nn.Module, path: Path, form: str) -> Path:
    weights = network.state_dict()
    if form == "safetensors":
        save_file(weights, path.with_suffix(".safetensors"))
        return path.with_suffix(".safetensors")
    forms: dict[str, Any] = {
        "plain": weights,
        "checkpoint": {"epoch": 3, "state_dict": weights},
        "parallel": {f"module.{name}": tensor for name, tensor in weights.items()},
    }
    torch.save(forms[form], path)
    return path


@pytest.mark.parametrize("form", ["safetensors", "plain", "checkpoint", "parallel"])
def test_weights_are_read_from_any_usual_form(own: Path, form: str) -> None:
    torch.manual_seed(1)
    wanted = SmallNet()
    path = saved(wanted, own / "weights.pt", form)
    got = create(settings("factory:mine:net", weights=str(path)), (1, 8, 8), 10)
    assert all(torch.equal(tensor, wanted.state_dict()[name]) for name, tensor in got.state_dict().items())


class _Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("stolen",)


def test_a_weights_file_cannot_run_code(own: Path) -> None:
    (own / "weights.pt").write_bytes(pickle.dumps(_Malicious(), protocol=2))
    with pytest.raises(ArtifactError, match="a state dict and nothing else"):
        create(settings("factory:mine:net", weights="weights.pt"), (1, 8, 8), 10)
    assert not (own / "stolen").exists()


def test_weights_that_do_not_fit_are_named(own: Path) -> None:
    weights = SmallNet().state_dict()
    weights["head.bias"] = torch.zeros(7)
    weights["neck.weight"] = weights.pop("stem.weight")
    torch.save(weights, own / "weights.pt")
    wanted = r"it lacks stem\.weight; it has too neck\.weight; of another shape head\.bias is \[7\] for \[10\]"
    with pytest.raises(ArtifactError, match=wanted):
        create(settings("factory:mine:net", weights="weights.pt"), (1, 8, 8), 10)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda weights: {"a": 1},
        lambda weights: list(weights.values()),
        lambda weights: {name: tensor.to(torch.complex64) for name, tensor in weights.items()},
        lambda weights: {name: tensor.to("meta") for name, tensor in weights.items()},
    ],
)
def test_weights_that_are_no_plain_tensors_are_told(own: Path, spoil: Callable[[dict[str, Any]], Any]) -> None:
    torch.save(spoil(SmallNet().state_dict()), own / "weights.pt")
    with pytest.raises(ArtifactError, match=r"teacher\.weights must hold plain tensors by name, but weights\.pt"):
        create(settings("factory:mine:net", weights="weights.pt"), (1, 8, 8), 10)


def test_weights_that_are_not_finite_are_named(own: Path) -> None:
    torch.save(SmallNet().state_dict() | {"head.bias": torch.full([10], torch.nan)}, own / "weights.pt")
    with pytest.raises(ArtifactError, match=r"weights\.pt does not: not finite head\.bias\."):
        create(settings("factory:mine:net", weights="weights.pt"), (1, 8, 8), 10)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path), lambda path: None])
def test_weights_that_are_no_file_are_not_waited_for(own: Path, make: Callable[[Path], object]) -> None:
    make(own / "weights.pt")
    for name in ("weights.pt", "a" * 300):
        with pytest.raises(ArtifactError, match=r"teacher\.weights must be a file, but"):
            create(settings("factory:mine:net", weights=name), (1, 8, 8), 10)


@pytest.mark.parametrize("cut", [4, 1000, -1000])
@pytest.mark.parametrize("form", ["safetensors", "plain"])
def test_a_weights_file_cut_short_is_told(own: Path, form: str, cut: int) -> None:
    path = saved(SmallNet(), own / "weights.pt", form)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ArtifactError, match=r"must be safetensors, or a state dict and nothing else"):
        create(settings("factory:mine:net", weights=path.name), (1, 8, 8), 10)


@pytest.mark.parametrize(
    "content", [b"", b"no weights", b"hello, this is text\n", b"root:x:0:0:root:/root:/bin/bash\n"]
)
def test_a_weights_file_that_is_none_is_told(own: Path, content: bytes) -> None:
    for name in ("weights.pt", "weights.safetensors"):
        (own / name).write_bytes(content)
        with pytest.raises(ArtifactError, match=r"must be safetensors, or a state dict"):
            create(settings("factory:mine:net", weights=name), (1, 8, 8), 10)
    with pytest.raises(ArtifactError, match=r"must be a file, but absent\.pt is not"):
        create(settings("factory:mine:net", weights="absent.pt"), (1, 8, 8), 10)


def test_an_exported_network_is_an_ordinary_one_again(tmp_path: Path, small_net: SmallNet) -> None:
    images = torch.rand(3, 1, 8, 8)
    dynamic = {"x": {0: torch.export.Dim("n", min=2)}}
    small_net.requires_grad_(False)  # as a student that is registered
    program = torch.export.export(small_net.eval(), (images,), dynamic_shapes=dynamic)
    torch.export.save(program, tmp_path / "plain.pt2")
    artifacts.save_bytes(tmp_path / "network.pt2", "program", (tmp_path / "plain.pt2").read_bytes())
    network = load_program(tmp_path / "network.pt2").eval()
    assert torch.equal(network(images), small_net(images))
    network(images).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_network_that_normalises_itself_takes_normalised_images(small_net: SmallNet) -> None:
    pixels = torch.rand(3, 1, 8, 8)
    network = FromPixels(small_net.eval(), [0.3], [0.2])
    torch.testing.assert_close(network((pixels - 0.3) / 0.2), small_net(pixels))


def test_a_file_that_is_no_exported_network_is_told(tmp_path: Path) -> None:
    path = tmp_path / "network.pt2"
    artifacts.save_bytes(path, "program", b"no network")
    with pytest.raises(ArtifactError, match="must be a network that torch exported"):
        load_program(path)


def test_an_exported_network_that_was_swapped_is_refused_unread(tmp_path: Path, small_net: SmallNet) -> None:
    path = tmp_path / "network.pt2"
    torch.export.save(torch.export.export(small_net.eval(), (torch.rand(2, 1, 8, 8),)), path)
    with pytest.raises(ArtifactError, match=r"network\.pt2 must be whole, .*its last line must be its checksum"):
        load_program(path)


def test_a_network_of_the_users_own_is_cut_as_any_other(own: Path) -> None:
    network = create(settings("factory:mine:net"), (1, 8, 8), 10)
    assert len(cut(network, BLOCKS, torch.rand(2, 1, 8, 8)).blocks) == 3
