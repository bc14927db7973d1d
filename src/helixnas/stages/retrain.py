"""retrain: the chosen student alone, from its distilled blocks or from scratch."""

import sys
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.cut import CutTeacher
from helixnas.data import INDEX, ImageSet, derive_seed
from helixnas.fit import pinned
from helixnas.results import Retraining
from helixnas.retrain import retrain
from helixnas.search_space import Architecture, SearchSpace, keeps_interface
from helixnas.stages.feature_cache import cache_for_students
from helixnas.stages.loading import (
    load_calibration,
    load_chosen,
    load_part,
    load_space,
    load_supernet,
    load_teacher,
    load_variances,
    new_teacher,
)
from helixnas.stages.setting import Curve, Resumable, Setting, begin, clear
from helixnas.student import BlockSupernet, Deployed, StudentNetwork, assemble, recalibrate


def run(config: RunConfig) -> None:
    """Run the stage: retrain the chosen student, and save the better of before and after."""
    setting = begin("retrain", config, config.retrain.num_threads)
    space = load_space(setting.root, config)
    architecture = load_chosen(setting.root, space)
    teacher = load_teacher(setting.root, config, torch.device("cpu"))
    student = _initial_student(setting, space, teacher, architecture)
    artifacts.save_tensors(setting.out / "initial.safetensors", "student", student.state_dict())
    inputs = [
        setting.root / folder("search") / "chosen.json",
        setting.root / folder("teacher") / "teacher.safetensors",
        setting.root / folder("data") / "train" / INDEX,
        setting.root / folder("data") / "rating" / INDEX,
        setting.out / "initial.safetensors",
    ]
    resume = setting.resume_folder(["data", "teacher", "search_space", "retrain"], inputs)
    curve, train = Curve(), load_part(setting.root, "train", setting.num_loaders)
    retraining, test = retrain(
        student,
        teacher,
        train,
        load_part(setting.root, "rating", setting.num_loaders),
        config.retrain,
        setting.seed,
        setting.device,
        Resumable(resume / "checkpoint.pt", curve),
        curve,
        setting.progress,
        setting.num_loaders,
        load_variances(setting.root, space) if keeps_interface(space) else None,
        cache_for_students(setting, teacher, train),
    )
    if test is not None:
        print(test, file=sys.stderr)
        artifacts.save_json(setting.out / "lr.json", "lr", asdict(test))
    if retraining.warning:
        print(retraining.warning, file=sys.stderr)
    curve.save(setting.out / "curve.csv")
    artifacts.save_tensors(setting.out / "student.safetensors", "student", student.state_dict())
    _save_arch(setting, space, architecture, retraining, train)
    clear(resume)


def _initial_student(
    setting: Setting, space: SearchSpace, teacher: CutTeacher, architecture: Architecture
) -> StudentNetwork:
    """The student before retraining, recalibrated: of distilled blocks, or of new ones where ``init`` says scratch."""
    with pinned(derive_seed(setting.seed, "init")):
        if setting.config.retrain.init == "scratch":
            source = new_teacher(setting.root, setting.config, teacher)
            supernets = _new_supernets(space, source)
        else:
            source = teacher
            supernets = [load_supernet(setting.root, space, teacher, block.block_id) for block in space.blocks]
        student = assemble(source.stem, supernets, source.head, architecture)
    recalibrate(student, load_calibration(setting.root, setting.config, space).normalized_batches())
    return student.requires_grad_(True)


def _new_supernets(space: SearchSpace, teacher: CutTeacher) -> list[BlockSupernet]:
    return [BlockSupernet(block, part) for block, part in zip(space.blocks, teacher.blocks, strict=True)]


def _save_arch(
    setting: Setting, space: SearchSpace, architecture: Architecture, retraining: Retraining, train: ImageSet
) -> None:
    names = [list(block.names(path)) for block, path in zip(space.blocks, architecture.paths, strict=True)]
    value = {
        "arch_id": architecture.arch_id,
        "blocks": names,
        "class_names": list(train.class_names),
        "in_shape": list(train.in_shape),
        "space_digest": space.digest,
        **asdict(retraining),
    }
    artifacts.save_json(setting.out / "arch.json", "arch", value)


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
    student = assemble(teacher.stem, _new_supernets(space, teacher), teacher.head, space.parse(arch["arch_id"]))
    tensors, _ = artifacts.load_tensors(root / folder("retrain") / f"{weights}.safetensors", "student")
    student.load_state_dict(tensors)
    return student.requires_grad_(False).eval()


def load_deployed(root: Path, config: RunConfig) -> nn.Module:
    """The retrained student as it is deployed: images float32 [N, C, H, W] in 0 to 1 in, logits out."""
    train = load_part(root, "train")
    teacher = load_teacher(root, config, torch.device("cpu"))
    return Deployed(load_student(root, config, teacher, "student"), train.mean, train.std).eval()
