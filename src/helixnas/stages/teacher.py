"""teacher: load or train the network, cut it into blocks, prove the cut; measure its features, layers and accuracy."""

import sys
from dataclasses import asdict, replace

from torch import nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.data import ImageSet, derive_seed
from helixnas.fit import Checkpoint, Fit, accuracy, pinned, resolve_loaders
from helixnas.search_space import TeacherAccuracy
from helixnas.stages.loading import NUM_PROOF_IMAGES, load_part
from helixnas.stages.network import PROGRAM, asked_blocks, fetch, is_registered, new_network
from helixnas.stages.setting import Curve, Setting, begin, clear
from helixnas.teacher import (
    CutTeacher,
    FeatureStatistics,
    cut,
    feature_statistics,
    idle_layers_warning,
    layer_losses,
    recut,
)

NUM_LAYER_IMAGES = 256
"""Of the train part, on which it is measured how much each layer matters."""


def run(config: RunConfig) -> None:
    setting = begin("teacher", config, config.teacher.num_threads)
    train = load_part(setting.root, "train")
    program = setting.root / PROGRAM
    if is_registered(config.teacher):
        fetch(setting.root, config.tracking.experiment, config.teacher, program)
    with pinned(derive_seed(setting.seed, "init")):
        network = new_network(program, config.teacher, train.in_shape, len(train.class_names), train.mean, train.std)
    example = train.first(NUM_PROOF_IMAGES).normalized()
    teacher = cut(network, asked_blocks(config.teacher), example)  # before training: a cut that fails, fails at once
    _train(setting, network, train)
    teacher = recut(network.cpu(), teacher.boundaries, teacher.specs, example)
    statistics = feature_statistics(teacher, train.normalized_batches())
    _save(setting, teacher, statistics)
    _judge(setting, teacher, statistics, train)


def _train(setting: Setting, network: nn.Module, train: ImageSet) -> None:
    resume = setting.resume_folder(["data", "teacher"], [setting.root / folder("data") / "train.safetensors"])
    checkpoint, curve = Checkpoint(resume / "checkpoint.pt"), Curve(resume / "curve.jsonl")
    if setting.config.teacher.recipe.epochs:
        rating = load_part(setting.root, "rating")
        recipe = setting.config.teacher.recipe
        loaders = resolve_loaders(setting.config.num_loaders, setting.device)
        fit = Fit(network, train, recipe, "teacher.recipe", setting.seed, setting.device, num_loaders=loaders)
        fit.run(checkpoint, lambda net: accuracy(net, rating), curve, setting.progress)
    curve.save(setting.out / "curve.csv")
    artifacts.save_tensors(setting.out / "teacher.safetensors", "teacher", network.state_dict())
    clear(resume)


def _save(setting: Setting, teacher: CutTeacher, statistics: list[FeatureStatistics]) -> None:
    specs = [
        replace(spec, is_nonnegative=float(block.minimum.min()) >= 0)
        for spec, block in zip(teacher.specs, statistics, strict=True)
    ]
    tensors = {
        f"block_{block_id}.{name}": tensor
        for block_id, block in enumerate(statistics)
        for name, tensor in (("mean", block.mean), ("variance", block.variance))
    }
    artifacts.save_tensors(setting.out / "features.safetensors", "features", tensors)
    value = {
        "asked": setting.config.teacher.blocks,
        "boundaries": asdict(teacher.boundaries),
        "blocks": [asdict(spec) for spec in specs],
    }
    artifacts.save_json(setting.out / "cut.json", "cut", value)


def _judge(setting: Setting, teacher: CutTeacher, statistics: list[FeatureStatistics], train: ImageSet) -> None:
    """Tell and save how good the teacher is on the rating part, and which of its layers matter."""
    rating = load_part(setting.root, "rating")
    told = TeacherAccuracy(accuracy(teacher.network, rating), len(rating), len(rating.class_names))
    some = train.first(min(NUM_LAYER_IMAGES, len(train)))
    layers = layer_losses(teacher, [block.variance for block in statistics], some.normalized_batches())
    artifacts.save_json(setting.out / "accuracy.json", "accuracy", asdict(told))
    artifacts.save_json(setting.out / "layers.json", "layers", [asdict(layer) for layer in layers])
    for line in (str(told), told.warning, idle_layers_warning(layers)):
        if line:
            print(line, file=sys.stderr)
