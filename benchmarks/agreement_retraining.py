"""Does retraining keep what a pretrained network knows? By the rating part, and before the better of the two is kept.

Two students: of ResNet-20, brought with its weights (`../shared/data`), two layers left out, on 5,000 images of
CIFAR-10; and the one that the finished run chose, of a teacher that was trained there. Each is retrained by the recipe
of params.yaml, whose rate a range test finds. Run in a folder where `make run` has ended:
python benchmarks/agreement_retraining.py
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import argparse
import tarfile
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch
from agreement import finished_run
from figure import ROOT, Figure, publish
from torch import Tensor

from helixnas.config import load
from helixnas.cut import cut
from helixnas.data import ImageSet, Packed
from helixnas.data.decode import decode
from helixnas.fit import Checkpoint
from helixnas.handover.student import load_retraining
from helixnas.progress import Reporter, forget
from helixnas.results import Retraining
from helixnas.retrain import retrain
from helixnas.search_space import build
from helixnas.student import BlockSupernet, assemble, recalibrate
from helixnas.teacher import create, feature_statistics

SHARED = ROOT.parent / "shared" / "data"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MODEL = "teacher.model_args={depths: [3, 3, 3], width: 16, stem_stride: 1, in_channels: 3}"
NUM_TRAIN, NUM_RATING, NUM_EPOCHS, SEEDS = 400, 100, 5, (0, 1)
"""Images of each class, from the train set alone."""


def cifar(train_per_class: int, rating_per_class: int) -> tuple[ImageSet, ImageSet]:
    """The first images of each class of CIFAR-10's train set, as two parts, shuffled."""
    parts: list[list[tuple[Tensor, str]]] = [[], []]
    seen, names = Counter[str](), list[str]()
    with tarfile.open(SHARED / "cifar10.tar") as tar:
        for member in tar:
            folders = member.name.strip("./").split("/")
            if not member.isfile() or folders[-3:-2] != ["train"]:
                continue
            name = folders[-2]
            names += [] if name in names else [name]
            seen[name] += 1
            if seen[name] <= train_per_class + rating_per_class:
                file = tar.extractfile(member)
                assert file is not None
                pair = decode(file.read(), 3), name
                parts[seen[name] > train_per_class].append(pair)
    classes = tuple(sorted(names))
    return _image_set(parts[0], classes), _image_set(parts[1], classes)


def _image_set(pairs: list[tuple[Tensor, str]], classes: tuple[str, ...]) -> ImageSet:
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0)).tolist()
    images = torch.stack([pairs[row][0] for row in order])
    labels = torch.tensor([classes.index(pairs[row][1]) for row in order])
    return ImageSet(Packed(images), labels, classes, MEAN, STD)


def brought(seed: int, train: ImageSet, rating: ImageSet, progress: Reporter) -> Retraining:
    """Retrain ResNet-20 without two of its layers, and tell how good it was before and after."""
    config = load(
        ROOT,
        [
            f"teacher.weights={SHARED / 'resnet20.safetensors'}",
            "teacher.model_args={depths: [3, 3, 3], width: 16, stem_stride: 1, in_channels: 3}",
        ],
    )
    network = create(config.teacher, train.in_shape, len(train.class_names))
    example = train.first(8).normalized()
    teacher = cut(network, [["layer1"], ["layer2"], ["layer3"]], example)
    space = build(teacher.specs, config.search_space)
    supernets = [BlockSupernet(*pair) for pair in zip(space.blocks, teacher.blocks, strict=True)]
    fewer = [
        next(path.key for path in block.paths() if block.names(path) == ("teacher_d1",)) for block in space.blocks[1:]
    ]
    student = assemble(teacher.stem, supernets, teacher.head, space.parse("-".join(["0:0", *fewer])))
    recalibrate(student.requires_grad_(True), train.normalized_batches())
    network.requires_grad_(False)
    variances = [statistics.variance for statistics in feature_statistics(teacher, train.normalized_batches())]
    settings = config.retrain.model_copy(
        update={"recipe": config.retrain.recipe.model_copy(update={"epochs": NUM_EPOCHS})}
    )
    with tempfile.TemporaryDirectory() as folder:
        where = torch.device("cpu"), Checkpoint(Path(folder) / "checkpoint.pt"), forget, progress
        retraining, test = retrain(student, teacher, train, rating, settings, seed, *where, variances=variances)
    print(test)
    return retraining


def gain(retraining: Retraining) -> float:
    """Percentage points of the rating part, retrained less initial."""
    return 100 * (retraining.retrained_acc - retraining.initial_acc)


def told(retraining: Retraining) -> str:
    return f"{retraining.initial_acc:.2%} before, {retraining.retrained_acc:.2%} after"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path())
    root = finished_run(parser.parse_known_args()[0].root)
    torch.set_num_threads(2)
    here = load_retraining(root)
    figures = [
        Figure("points gained by retraining the run's student", "the student before", (gain(here),), 0, "points")
    ]
    notes = [told(here)]
    if SHARED.exists():
        parts, progress = cifar(NUM_TRAIN, NUM_RATING), Reporter("ResNet-20")
        done = [brought(seed, *parts, progress) for seed in SEEDS]
        title = f"points gained by retraining a ResNet-20 that was brought, {NUM_EPOCHS} epochs"
        figures.append(Figure(title, "the student before", tuple(map(gain, done)), 0, "points"))
        notes.append("; ".join(map(told, done)))
    else:
        print(f"ResNet-20 is left out: {SHARED} is missing")
    publish(*(replace(figure, note=note) for figure, note in zip(figures, notes, strict=True)))


if __name__ == "__main__":
    main()
