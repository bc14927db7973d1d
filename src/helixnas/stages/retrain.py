"""retrain: the chosen student alone, from its distilled blocks or from scratch."""

from pathlib import Path

import torch
from torch import nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.data import derive_seed
from helixnas.fit import Checkpoint, pinned, resolve_loaders
from helixnas.retrain import retrain
from helixnas.search_space import Architecture, SearchSpace
from helixnas.stages.loading import load_calibration, load_chosen, load_part, load_space, load_supernet, load_teacher
from helixnas.stages.setting import Curve, Setting, begin, clear
from helixnas.student import BlockSupernet, Deployed, StudentNetwork, assemble, recalibrate, reset
from helixnas.teacher import CutTeacher


def run(config: RunConfig) -> None:
    setting = begin("retrain", config, config.retrain.num_threads)
    space = load_space(setting.root, config)
    architecture = load_chosen(setting.root, space)
    teacher = load_teacher(setting.root, config, torch.device("cpu"))
    student = _initial_student(setting, space, teacher, architecture)
    artifacts.save_tensors(setting.out / "initial.safetensors", "student", student.state_dict())
    _train(setting, student, teacher)
    artifacts.save_tensors(setting.out / "student.safetensors", "student", student.state_dict())
    _save_arch(setting, space, architecture)


def _initial_student(
    setting: Setting, space: SearchSpace, teacher: CutTeacher, architecture: Architecture
) -> StudentNetwork:
    """The student before retraining: assembled and recalibrated, or forgotten where ``init`` says scratch."""
    supernets = [load_supernet(setting.root, space, teacher, block.block_id) for block in space.blocks]
    with pinned(derive_seed(setting.seed, "init")):
        student = assemble(teacher.stem, supernets, teacher.head, architecture)
        if setting.config.retrain.init == "scratch":
            reset(student)
    recalibrate(student, load_calibration(setting.root, setting.config, space).normalized_batches())
    return student.requires_grad_(True)


def _train(setting: Setting, student: StudentNetwork, teacher: CutTeacher) -> None:
    inputs = [
        setting.root / folder("search") / "chosen.json",
        setting.root / folder("teacher") / "teacher.safetensors",
        setting.root / folder("data") / "train.safetensors",
        setting.out / "initial.safetensors",
    ]
    resume = setting.resume_folder(["data", "teacher", "search_space", "retrain"], inputs)
    curve = Curve(resume / "curve.jsonl")
    retrain(
        student,
        teacher.network,
        load_part(setting.root, "train"),
        load_part(setting.root, "rating"),
        setting.config.retrain,
        setting.seed,
        setting.device,
        Checkpoint(resume / "checkpoint.pt"),
        curve,
        setting.progress,
        resolve_loaders(setting.config.num_loaders, setting.device),
    )
    curve.save(setting.out / "curve.csv")
    clear(resume)


def _save_arch(setting: Setting, space: SearchSpace, architecture: Architecture) -> None:
    train = load_part(setting.root, "train")
    names = [list(block.names(path)) for block, path in zip(space.blocks, architecture.paths, strict=True)]
    value = {
        "arch_id": architecture.arch_id,
        "blocks": names,
        "class_names": list(train.class_names),
        "in_shape": list(train.in_shape),
        "space_digest": space.digest,
    }
    artifacts.save_json(setting.out / "arch.json", "arch", value)


def load_student(root: Path, config: RunConfig, teacher: CutTeacher, weights: str) -> StudentNetwork:
    """The retrained student (``weights`` "student"), or as it was before ("initial"), in eval mode on the CPU."""
    space = load_space(root, config)
    arch = artifacts.load_json(root / folder("retrain") / "arch.json", "arch")
    blank = [BlockSupernet(block, part) for block, part in zip(space.blocks, teacher.blocks, strict=True)]
    student = assemble(teacher.stem, blank, teacher.head, space.parse(arch["arch_id"]))
    tensors, _ = artifacts.load_tensors(root / folder("retrain") / f"{weights}.safetensors", "student")
    student.load_state_dict(tensors)
    return student.requires_grad_(False).eval()


def load_deployed(root: Path, config: RunConfig) -> nn.Module:
    """The retrained student as it is deployed: images float32 [N, C, H, W] in 0 to 1 in, logits out."""
    train = load_part(root, "train")
    teacher = load_teacher(root, config, torch.device("cpu"))
    return Deployed(load_student(root, config, teacher, "student"), train.mean, train.std).eval()
