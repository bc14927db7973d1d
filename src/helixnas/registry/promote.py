"""What people do with registered students: promote, roll back, predict, list, delete."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from helixnas import tracking
from helixnas.config import RunConfig
from helixnas.data import ImageSet, read_images
from helixnas.registry.publish import load_figures
from helixnas.tracking import CHAMPION, Promotion, Store, Version

BATCH_SIZE = 256


class Prediction(NamedTuple):
    """The likeliest class of one image, and its probability (0 to 1)."""

    path: Path
    class_name: str
    probability: float


def promote(root: Path, config: RunConfig, version: int | None = None) -> Promotion:
    """Make the challenger, or ``version``, the champion; PromotionError where the gate refuses.

    The gate is the run's budget, and top-1 accuracy on the test part, taken anew for both, of which neither may have
    seen an image in training.
    """
    from helixnas.handover.parts import load_part  # with it comes timm, and the other commands here need none

    test = load_part(root, "test")
    figures, settings = load_figures(root), config.tracking
    return tracking.promote(
        _store(root, config),
        settings.model_name,
        lambda module: right(module, test),
        test.digests,
        budget=figures.budget,
        max_acc_drop=settings.max_acc_drop,
        acc_name=figures.acc_name,
        version=version,
    )


def rollback(root: Path, config: RunConfig) -> Version:
    """Make the previous champion the champion again."""
    return tracking.rollback(_store(root, config), config.tracking.model_name)


def predict(root: Path, config: RunConfig, images: list[Path], alias: str = CHAMPION) -> list[Prediction]:
    """Classify image files with the version that bears ``alias``. DataError names a file that is no image."""
    loaded = tracking.load_model(_store(root, config), config.tracking.model_name, alias)
    channels, height, width = loaded.facts["in_shape"]
    logits = _logits(loaded.module, read_images(images, (channels, height, width)))
    probabilities, classes = logits.softmax(dim=1).max(dim=1)
    names = loaded.facts["class_names"]
    rows = zip(images, classes.tolist(), probabilities.tolist(), strict=True)
    return [Prediction(path, names[index], probability) for path, index, probability in rows]


def versions(root: Path, config: RunConfig) -> list[Version]:
    """Every registered version, the newest first."""
    return tracking.versions(_store(root, config), config.tracking.model_name)


def delete(root: Path, config: RunConfig, version: int) -> None:
    """Delete a version; PromotionError for the champion and the previous one."""
    tracking.delete(_store(root, config), config.tracking.model_name, version)


def right(module: nn.Module, part: ImageSet) -> Tensor:
    """Which images of a part a deployed module gets right, bool [N]."""
    classes = [_logits(module, part.read(rows)).argmax(dim=1) for rows in part.batches(BATCH_SIZE)]
    return torch.cat(classes) == part.labels


@torch.inference_mode()
def _logits(module: nn.Module, images: Tensor) -> Tensor:
    """Logits [N, classes] of uint8 images [N, C, H, W]."""
    return torch.cat([module(chunk.float() / 255) for chunk in torch.split(images, BATCH_SIZE)])


def _store(root: Path, config: RunConfig) -> Store:
    return tracking.open_store(root, config.tracking.experiment)
