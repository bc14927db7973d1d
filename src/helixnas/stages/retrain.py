"""retrain: the chosen student alone, from its distilled blocks or from scratch."""

import sys
from dataclasses import asdict

import torch

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.cut import CutTeacher
from helixnas.data import INDEX, ImageSet, derive_seed
from helixnas.errors import ConfigError
from helixnas.fit import pinned
from helixnas.handover.feature_cache import cache_for_students
from helixnas.handover.parts import load_calibration, load_part, load_raw_part
from helixnas.handover.setting import Curve, Resumable, Setting, begin, clear
from helixnas.handover.space import block_files, load_space
from helixnas.handover.student import load_supernet, new_supernets
from helixnas.handover.tables import load_chosen
from helixnas.handover.teacher import load_teacher, load_variances, new_teacher
from helixnas.results import Retraining
from helixnas.retrain import retrain
from helixnas.search_space import Architecture, SearchSpace, keeps_interface
from helixnas.student import StudentNetwork, assemble, recalibrate


def run(config: RunConfig) -> None:
    """Run the stage: retrain the chosen student, and save the better of before and after."""
    setting = begin("retrain", config, config.retrain.num_threads)
    if config.distill.supervision == "siamese":
        _require_something_to_learn_from(setting)
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
        *block_files(setting.root, space),
    ]
    resume = setting.resume_folder(["data", "teacher", "retrain"], inputs)
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


def _require_something_to_learn_from(setting: Setting) -> None:
    """ConfigError where neither images nor teacher know a class: a search may do without both, a student may not."""
    source = setting.config.teacher.source
    if not (load_raw_part(setting.root, "train").is_labelled or setting.config.teacher.is_trained):
        raise ConfigError(
            f"retrain needs labels or a trained teacher, but the images have no labels and {source} has learnt nothing "
            "(teacher.recipe.epochs is 0, without weights). Put the images into a folder for each class, or bring a "
            "teacher by teacher.weights or teacher.pretrained; what was searched, without either, is in "
            f"{setting.root / folder('search') / 'result.json'}."
        )


def _initial_student(
    setting: Setting, space: SearchSpace, teacher: CutTeacher, architecture: Architecture
) -> StudentNetwork:
    """The student before retraining, recalibrated: of distilled blocks, or of new ones where ``init`` says scratch."""
    with pinned(derive_seed(setting.seed, "init")):
        if setting.config.retrain.init == "scratch":
            source = new_teacher(setting.root, setting.config, teacher)
            supernets = new_supernets(space, source)
        else:
            source = teacher
            supernets = [load_supernet(setting.root, block, teacher) for block in space.blocks]
        student = assemble(source.stem, supernets, source.head, architecture)
    recalibrate(student, load_calibration(setting.root, setting.config, space).normalized_batches())
    return student.requires_grad_(True)


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
