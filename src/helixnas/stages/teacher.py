"""teacher: load or train the network, cut it into blocks, prove the cut, measure the features' variances."""

from dataclasses import asdict, replace

from torch import nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.data import ImageSet, derive_seed
from helixnas.fit import Checkpoint, Fit, accuracy, pinned, resolve_loaders
from helixnas.stages.loading import NUM_PROOF_IMAGES, load_part
from helixnas.stages.network import PROGRAM, asked_blocks, fetch, is_registered, new_network
from helixnas.stages.setting import Curve, Setting, begin, clear
from helixnas.teacher import CutTeacher, cut, feature_statistics, recut


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
    _save(setting, teacher, train)


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


def _save(setting: Setting, teacher: CutTeacher, train: ImageSet) -> None:
    statistics = feature_statistics(teacher, train.normalized_batches())
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
