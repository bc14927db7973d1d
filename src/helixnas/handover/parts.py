"""The parts of the data, as stages read them."""

from dataclasses import replace
from pathlib import Path

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.data import ImageSet
from helixnas.errors import ArtifactError
from helixnas.search_space import SearchSpace
from helixnas.student import num_calibration_images

LABELS = folder("teacher") / "labels.safetensors"
"""What the teacher says of each image, for images that have no labels of their own."""
SEEN = folder("teacher") / "seen.safetensors"
"""The digests of the images that a student has seen in training, by itself or by way of a teacher of the registry."""


def load_part(root: Path, name: str, num_loaders: int = 0) -> ImageSet:
    """The part ``train``, ``rating`` or ``test``. Where the images have no labels, the teacher's top-1 stands for them.

    ``num_loaders`` processes read ahead where images are decoded when they are needed. ArtifactError where the
    teacher's labels are missing, or were made for another split.
    """
    part = ImageSet.load(root / folder("data") / name, num_loaders)
    if part.is_labelled:
        return part
    tensors, facts = artifacts.load_tensors(root / LABELS, "labels")
    if facts["split"] != part.split:
        raise ArtifactError(f"{root / LABELS} must be of the images in the parts, but is of others. Run `dvc repro`.")
    return replace(part, labels=tensors[name], class_names=tuple(map(str, range(facts["num_classes"]))))


def load_raw_part(root: Path, name: str, num_loaders: int = 0) -> ImageSet:
    """The same as the data stage made it: for those who come before the teacher."""
    return ImageSet.load(root / folder("data") / name, num_loaders)


def load_calibration(root: Path, config: RunConfig, space: SearchSpace) -> ImageSet:
    """The train images on which the BatchNorm statistics of whole students are measured."""
    train, asked = load_part(root, "train"), config.rating.num_calibration_images
    return train.first(num_calibration_images(asked, len(train), [block.spec for block in space.blocks]))
