"""model.py of networks that are written in unusual ways."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from helixnas.errors import ConfigError
from helixnas.export import Contract, export_program, plain_module

IN_SHAPE = (3, 8, 8)


class Odd(nn.Module):
    """Uses a layer twice, at two strides; ties weights; slices, splits, changes in place; has a lone parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.a_b = nn.Conv2d(3, 8, 3, padding=(1, 1), padding_mode="zeros")
        self.a = nn.Module()
        self.a.b = nn.Conv2d(8, 8, (1, 3), padding="same", groups=4, dilation=1, bias=False)
        self.norm = nn.GroupNorm(2, 8)
        self.last = nn.BatchNorm2d(8, eps=1e-3, momentum=0.3)
        self.train_ = nn.Parameter(torch.rand(1, 8, 1, 1))
        self.register_buffer("shift", torch.arange(4.0), persistent=False)
        self.head = nn.Linear(8, 8, bias=False)
        self.drop = nn.Dropout(0.25)

    def forward(self, images: Tensor) -> Tensor:
        x = self.a.b(self.a_b(images))
        y = F.conv2d(images, self.a_b.weight, None, 2, 1)
        x = x[:, :, 1::2, -4:] + F.interpolate(y, scale_factor=1.0, mode="nearest")
        first, second = x.chunk(2, 1)
        x = torch.cat([second.neg().mul_(2.0), first - self.shift], 1) * self.train_
        x = F.leaky_relu(self.last(self.norm(x)), 0.2, inplace=True)
        rows = x.flatten(2).transpose(1, 2)
        rows = rows.softmax(-1) @ self.head.weight + self.head(rows)
        rows = self.drop(rows.clamp(-2, 2) ** 2)
        return rows.reshape(images.shape[0], -1, 8).mean(1)


def written(network: nn.Module, folder: Path, names: tuple[str, ...] = ("a", "b")) -> ModuleType:
    program = export_program(network.eval(), IN_SHAPE)
    plain = plain_module(program, Contract(names, IN_SHAPE), "A student")
    (folder / "model.py").write_text(plain.text, encoding="utf-8")
    save_file(plain.tensors, folder / "student.safetensors")
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_odd_network_is_written_exactly(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Odd()
    with torch.no_grad():
        network(torch.rand(8, *IN_SHAPE))
    module = written(network, tmp_path)
    plain = module.load(tmp_path / "student.safetensors")
    for num_images in (1, 5):
        images = torch.rand(num_images, *IN_SHAPE)
        assert torch.equal(plain(images), network(images))
    assert plain.last.momentum == 0.3
    assert plain.last.num_batches_tracked == 1
    plain.train()
    images = torch.rand(4, *IN_SHAPE)
    assert not torch.equal(plain(images), plain(images))  # it drops out again


@pytest.mark.parametrize("name", ['"""', "back\\slash", "quote's \"", "grüße\u2028\n", "{}%<<input>>"])
def test_class_names_of_any_kind_are_no_code(tmp_path: Path, name: str) -> None:
    module = written(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), tmp_path, (name, "b"))
    assert list(module.CLASS_NAMES) == [name, "b"]


class Fenced(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        x = images.mean((2, 3))
        with torch.enable_grad():
            return torch.sin(x) * 2


def test_a_step_that_no_text_can_hold_is_told() -> None:
    program = export_program(Fenced().eval(), IN_SHAPE)
    with pytest.raises(ConfigError, match=r"must be written in torch's operators, but wrap_with_set_grad_enabled"):
        plain_module(program, Contract(("a", "b", "c"), IN_SHAPE), "A student")
