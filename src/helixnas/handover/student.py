"""Distilled supernets, and the students that are made of them."""

from pathlib import Path

import torch
from torch import Tensor, nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.compare import Rival, rival_from_json
from helixnas.config import RunConfig
from helixnas.cut import CutTeacher
from helixnas.errors import SpaceMismatchError
from helixnas.handover.parts import load_part
from helixnas.handover.space import load_space, require_space
from helixnas.handover.teacher import load_teacher
from helixnas.results import Retraining
from helixnas.search_space import BlockSpace, SearchSpace
from helixnas.student import BlockSupernet, Deployed, StudentNetwork, assemble

BESIDE = "beside.safetensors"
"""What is saved beside a supernet, in the same folder, by a supervision that saves anything."""
RESULTS = folder("compare") / "results.json"


def load_supernet(root: Path, block: BlockSpace, teacher: CutTeacher) -> BlockSupernet:
    """A distilled supernet in eval mode; SpaceMismatchError if it is of another space or another teacher."""
    path = root / folder("distill", block.block_id) / "supernet.safetensors"
    tensors, facts = artifacts.load_tensors(path, "supernet")
    require_space(path, facts["space"], block)
    supernet = BlockSupernet(block, teacher.blocks[block.block_id])
    try:
        supernet.load_state_dict(tensors)
    except RuntimeError as error:  # the teacher's own block is a part of it
        raise SpaceMismatchError(f"{path} must belong to this teacher, but does not. Run `dvc repro`.") from error
    return supernet.requires_grad_(False).eval()


def load_beside(root: Path, block_id: int) -> dict[str, Tensor]:
    """What the supervision of a block saved beside the weights of the supernet; empty if it saves nothing."""
    path = root / folder("distill", block_id) / BESIDE
    return artifacts.load_tensors(path, "beside")[0] if path.exists() else {}


def load_retraining(root: Path) -> Retraining:
    """Which student goes on, and how good both were on the rating part."""
    arch = artifacts.load_json(root / folder("retrain") / "arch.json", "arch")
    return Retraining(arch["kept"], arch["initial_acc"], arch["retrained_acc"])


def load_student(root: Path, config: RunConfig, teacher: CutTeacher, weights: str) -> StudentNetwork:
    """The student that goes on (``weights`` "student"), or as it was before retraining ("initial").

    In eval mode, on the CPU.
    """
    space = load_space(root, config)
    arch = artifacts.load_json(root / folder("retrain") / "arch.json", "arch")
    student = assemble(teacher.stem, new_supernets(space, teacher), teacher.head, space.parse(arch["arch_id"]))
    tensors, _ = artifacts.load_tensors(root / folder("retrain") / f"{weights}.safetensors", "student")
    student.load_state_dict(tensors)
    return student.requires_grad_(False).eval()


def load_deployed(root: Path, config: RunConfig) -> nn.Module:
    """The retrained student as it is deployed: images float32 [N, C, H, W] in 0 to 1 in, logits out."""
    train = load_part(root, "train")
    teacher = load_teacher(root, config, torch.device("cpu"))
    return Deployed(load_student(root, config, teacher, "student"), train.mean, train.std).eval()


def new_supernets(space: SearchSpace, teacher: CutTeacher) -> list[BlockSupernet]:
    """Supernets of all blocks with fresh weights beside the teacher's."""
    return [BlockSupernet(block, part) for block, part in zip(space.blocks, teacher.blocks, strict=True)]


def load_rivals(root: Path) -> tuple[Rival, ...]:
    """What the compare stage found, the obvious ways first; empty where it is switched off."""
    return tuple(map(rival_from_json, artifacts.load_json(root / RESULTS, "compare")))


def load_rival(root: Path, space: SearchSpace, teacher: CutTeacher, rival: Rival, weights: str) -> StudentNetwork:
    """A rival retrained (``weights`` "student"), or as it was before ("initial"), in eval mode on the CPU."""
    network = assemble(teacher.stem, new_supernets(space, teacher), teacher.head, space.parse(rival.arch_id))
    tensors, _ = artifacts.load_tensors(root / folder("compare") / rival.key / f"{weights}.safetensors", "student")
    network.load_state_dict(tensors)
    return network.requires_grad_(False).eval()
