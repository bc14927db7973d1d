"""What several rooms' tests share: a small real network, a few real images, the repository's own parameters."""

import os
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from helixnas.config import RunConfig, load
from helixnas.cut import CutTeacher, cut
from helixnas.data import ImageSet, prepare
from helixnas.data.files import Files
from helixnas.data.pack import Packer
from helixnas.progress import silent
from helixnas.search_space import SearchSpace, build

ROOT = Path(__file__).parents[1]
torch.set_num_threads(1)
# Prefect's handlers of the end fail in a fork of a process that ran a flow: a loader would end with code 1.
os.register_at_fork(after_in_child=threading._threading_atexits.clear)  # type: ignore[attr-defined]

SMALL = [
    "data.source=digits",
    "data.image_size=8",
    "search_space.kernels=[3,5]",
    "search_space.expansions=[2]",
    "search_space.cells=[{depth:1,width:1.0},{depth:2,width:0.5}]",
    "search_space.allow_skip=false",
    "search_space.fewer_layers=false",
    "distill.updates=3",
    "distill.batch_size=32",
]
"""Overrides that make every stage a matter of seconds."""


class SmallNet(nn.Module):
    """A residual network of three blocks, 8x8 grey images to 10 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.layer1 = _block(8, 8, 1)
        self.layer2 = _block(8, 16, 2)
        self.layer3 = _block(16, 16, 1)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.stem(x).relu())))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


def _block(in_width: int, out_width: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(in_width, out_width, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_width), nn.ReLU())


BLOCKS = [["layer1"], ["layer2"], ["layer3"]]


@pytest.fixture(scope="session")
def config() -> RunConfig:
    return load(ROOT, SMALL)


@pytest.fixture(scope="session")
def parts(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageSet]:
    return prepare(config.data, tmp_path_factory.mktemp("parts"), silent).parts


def whole(part: ImageSet) -> Tensor:
    """All images of a small part, uint8 [N, C, H, W]."""
    return part.read(torch.arange(len(part)))


def save_packed(part: ImageSet, folder: Path) -> None:
    """Save a part as the data stage does where it fits ``data.pack_gb``."""
    with Packer(folder.parent, [folder.name]) as packer:
        for row, image in enumerate(whole(part)):
            packer.write(folder.name, row, image)
        packer.finish(folder.name, torch.arange(len(part)), part.in_shape)
    part.save_index(folder, Files([""] * len(part), range(len(part))))


@pytest.fixture
def small_net() -> SmallNet:
    torch.manual_seed(0)
    return SmallNet()


@pytest.fixture
def teacher(small_net: SmallNet, parts: dict[str, ImageSet]) -> CutTeacher:
    return cut(small_net, BLOCKS, parts["train"].first(8).normalized())


@pytest.fixture
def space(teacher: CutTeacher, config: RunConfig) -> SearchSpace:
    return build(teacher.specs, config.search_space)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project where every stage has run. Copy it before you change it."""
    from tests.project import new_project, run_all

    root = tmp_path_factory.mktemp("finished")
    new_project(root)
    run_all(root)
    return root
