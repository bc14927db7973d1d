"""Students of small, untrained networks: the first block is a substitute, the others are the teacher's own."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import timm
import torch
from torch import nn
from torch.export import ExportedProgram

from examples.cifar_resnet import resnet
from helixnas.config import RunConfig
from helixnas.cut import cut
from helixnas.data import ImageSet, Packed
from helixnas.export import Contract, export_program, write_files
from helixnas.search_space import Architecture, build
from helixnas.student import BlockSupernet, Deployed, assemble, recalibrate

CLASSES = tuple(f"class {index}" for index in range(10))
VIT = {"img_size": 16, "patch_size": 4, "embed_dim": 48, "depth": 3, "num_heads": 3}
TEACHERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "example": (lambda: resnet(depths=[1, 1, 1, 1], width=8, stem_stride=1, in_channels=1, num_classes=10), (1, 8, 8)),
    "resnet18": (lambda: timm.create_model("resnet18", channels=[8, 16, 24, 32], num_classes=10), (3, 32, 32)),
    "mobilenetv3": (lambda: timm.create_model("mobilenetv3_small_050", num_classes=10), (3, 32, 32)),
    "vit": (lambda: timm.create_model("vit_tiny_patch16_224", num_classes=10, **VIT), (3, 16, 16)),
}


class Exported(NamedTuple):
    """A student, what torch recorded of it, and the folder with its files."""

    student: nn.Module
    program: ExportedProgram
    contract: Contract
    folder: Path


def new_student(name: str, config: RunConfig) -> tuple[nn.Module, tuple[int, int, int]]:
    make, in_shape = TEACHERS[name]
    torch.manual_seed(0)
    network = make()
    teacher = cut(network, 2, torch.rand(4, *in_shape))
    space = build(teacher.specs, config.search_space)
    supernets = [BlockSupernet(block, piece) for block, piece in zip(space.blocks, teacher.blocks, strict=True)]
    chosen = [list(block.paths()) for block in space.blocks]
    architecture = Architecture((chosen[0][-1], *(paths[0] for paths in chosen[1:])))
    student = assemble(teacher.stem, supernets, teacher.head, architecture)
    for parameter in student.parameters():
        if not parameter.any():  # a head or a branch that starts at zero would hide mistakes
            nn.init.normal_(parameter, std=0.1)
    recalibrate(student, [torch.randn(64, *in_shape)])  # or images would hardly be told apart
    deployed = Deployed(student, [0.4] * in_shape[0], [0.3] * in_shape[0])
    return deployed.eval().requires_grad_(False), in_shape


@pytest.fixture(scope="session")
def exported(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """The files of a student by its teacher's name, made once. Copy them before you change them."""

    @cache
    def once(name: str) -> Exported:
        student, in_shape = new_student(name, config)
        contract, program = Contract(CLASSES, in_shape), export_program(student, in_shape)
        folder = tmp_path_factory.mktemp(name)
        write_files(folder, program, student, contract, f"Student of {name}")
        return Exported(student, program, contract, folder)

    return once


def part(in_shape: tuple[int, int, int], num_images: int) -> ImageSet:
    random = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (num_images, *in_shape), dtype=torch.uint8, generator=random)
    return ImageSet(Packed(images), torch.arange(num_images) % 10, CLASSES, (0.4,) * in_shape[0], (0.3,) * in_shape[0])
