"""Images of one's own, versioned by DVC, kept in a remote, and used in another checkout."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.parameters import change
from helixnas.data import ImageSet
from tests.pipeline.conftest import call, digests

pytestmark = [pytest.mark.slow, pytest.mark.flow]


def paint(folder: Path, num_images: int, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for label in ("left", "right"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for index in range(num_images):
            Image.fromarray(rng.integers(0, 256, (10, 10, 3), np.uint8)).save(folder / label / f"{seed}_{index}.png")


def run(root: Path, *command: str) -> str:
    done = call(root, *command)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_images_travel_through_a_remote_and_new_ones_are_noticed(clean_checkout: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for root in (here, there):
        shutil.copytree(clean_checkout, root)
    paint(here / "datasets/mine", 20)
    run(here, "dvc", "add", "--quiet", "datasets/mine")
    assert run(here, "git", "status", "--porcelain", "--", "datasets/mine/") == ""  # DVC's, not git's
    run(here, "dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    run(here, "dvc", "push", "--quiet")

    for name in ("datasets/mine.dvc", ".dvc/config"):
        shutil.copy(here / name, there / name)
    run(there, "dvc", "pull", "--quiet", "datasets/mine.dvc")
    for root in (here, there):
        change(root, "tiny", ["data.source=folder", "data.path=datasets/mine"])
        run(root, "dvc", "repro", "--quiet", "data")
    assert digests(here) == digests(there)
    assert ImageSet.load(there / "artifacts/data/train").class_names == ("left", "right")

    paint(there / "datasets/mine", 5, seed=1)
    assert "data:" in run(there, "dvc", "status")
    run(there, "dvc", "add", "--quiet", "datasets/mine")
    run(there, "dvc", "repro", "--quiet", "data")
    parts = [ImageSet.load(there / f"artifacts/data/{name}") for name in ("train", "rating", "test")]
    assert sum(map(len, parts)) == 50
