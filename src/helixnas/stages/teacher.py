"""teacher: load or train the network, cut it into blocks, prove the cut; measure its features, layers and accuracy."""

import sys
from dataclasses import asdict, replace

import torch
from torch import Tensor, nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.cut import CutTeacher, cut, recut
from helixnas.data import INDEX, ImageSet, derive_seed
from helixnas.errors import DataError
from helixnas.fit import Fit, accuracy, pinned, predict, top1
from helixnas.handover.network import PROGRAM, asked_blocks, fetch, is_registered, new_network, require_frozen
from helixnas.handover.parts import LABELS, SEEN, load_part, load_raw_part
from helixnas.handover.setting import Curve, Resumable, Setting, begin, clear
from helixnas.handover.teacher import NUM_PROOF_IMAGES
from helixnas.results import TeacherAccuracy
from helixnas.teacher import FeatureStatistics, feature_statistics, idle_layers_warning, layer_losses

NUM_LAYER_IMAGES = 256
"""Of the train part, on which it is measured how much each layer matters."""


def run(config: RunConfig) -> None:
    """Run the stage: make, train, cut and judge the teacher, and save it."""
    setting = begin("teacher", config, config.teacher.num_threads)
    train = load_raw_part(setting.root, "train", setting.num_loaders)
    require_frozen(config.teacher, train.num_classes)
    seen = [train.digests, load_raw_part(setting.root, "rating").digests]
    if is_registered(config.teacher):
        seen.append(_fetch(setting))
    artifacts.save_tensors(setting.root / SEEN, "seen", {"digests": torch.cat(seen).unique()}, {"split": train.split})
    program = setting.root / PROGRAM
    with pinned(derive_seed(setting.seed, "init")):
        network = new_network(program, config.teacher, train.in_shape, train.num_classes, train.mean, train.std)
    example = train.first(NUM_PROOF_IMAGES).normalized()
    teacher = cut(network, asked_blocks(config.teacher), example)  # before training: a cut that fails, fails at once
    _train(setting, network, train)
    teacher = recut(network.cpu(), teacher.boundaries, teacher.specs, example)
    statistics = feature_statistics(teacher, train.normalized_batches())
    _save(setting, teacher, statistics)
    if not train.is_labelled:
        _save_labels(setting, teacher.network, train)
    _judge(setting, teacher, statistics, train)


def _fetch(setting: Setting) -> Tensor:
    """Fetch a teacher from the registry, and return the digests of the images that it has seen in training.

    DataError where images of the test part are among them: students would know these by way of their teacher.
    """
    test, settings = load_raw_part(setting.root, "test").digests, setting.config.teacher
    version, seen = fetch(setting.root, setting.config.tracking.experiment, settings, setting.root / PROGRAM)
    num_seen = int(torch.isin(test, seen).sum())
    if num_seen:
        raise DataError(
            f"The teacher must not have seen images of the test part in training, but {version} has seen {num_seen} of "
            f"{len(test)}. Set data.split_seed to what it was in the run that registered it, or change teacher.source."
        )
    return seen


def _train(setting: Setting, network: nn.Module, train: ImageSet) -> None:
    resume = setting.resume_folder(["data", "teacher"], [setting.root / folder("data") / "train" / INDEX])
    curve = Curve()
    if setting.config.teacher.recipe.epochs:
        rating = load_raw_part(setting.root, "rating", setting.num_loaders)
        recipe = setting.config.teacher.recipe
        fit = Fit(
            network, train, recipe, "teacher.recipe", setting.seed, setting.device, num_loaders=setting.num_loaders
        )
        checkpoint = Resumable(resume / "checkpoint.pt", curve)
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
    rating = load_part(setting.root, "rating", setting.num_loaders)
    told = None
    if rating.is_labelled:
        told = TeacherAccuracy(accuracy(teacher.network, rating), len(rating), len(rating.class_names))
    some = train.first(min(NUM_LAYER_IMAGES, len(train)))
    layers = layer_losses(teacher, [block.variance for block in statistics], some.normalized_batches())
    artifacts.save_json(setting.out / "accuracy.json", "accuracy", None if told is None else asdict(told))
    artifacts.save_json(setting.out / "layers.json", "layers", [asdict(layer) for layer in layers])
    judged = () if told is None else (str(told), told.warning)
    for line in filter(None, (*judged, idle_layers_warning(layers))):
        print(line, file=sys.stderr)


def _save_labels(setting: Setting, network: nn.Module, train: ImageSet) -> None:
    """The teacher's top-1 of every image, of the test part too: what students are compared with for want of labels."""
    parts = {
        "train": train,
        "rating": load_raw_part(setting.root, "rating", setting.num_loaders),
        "test": load_raw_part(setting.root, "test", setting.num_loaders),
    }
    labels = {name: top1(network, part) for name, part in parts.items()}
    (logits,) = predict(network, train.first(1))
    facts = {"num_classes": logits.shape[1], "split": train.split}
    artifacts.save_tensors(setting.root / LABELS, "labels", labels, facts)
