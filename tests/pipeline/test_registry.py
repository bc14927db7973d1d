"""From challenger to champion and back, by the commands that people type."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from flows.parameters import change
from helixnas import artifacts
from helixnas.data import ImageSet
from tests.conftest import whole
from tests.pipeline.conftest import call, make

pytestmark = [pytest.mark.slow, pytest.mark.flow]


def aliases(root: Path) -> dict[str, str]:
    """The version behind each alias, as ``helixnas versions`` lists them."""
    lines = call(root, "helixnas", "versions").stdout.splitlines()
    return {alias: line.split("\t")[0] for line in lines for alias in line.split("\t")[-1].split()}


def save_test_images(root: Path, num_images: int) -> list[str]:
    part = ImageSet.load(root / "artifacts/data/test")
    names = [f"image_{index}.png" for index in range(num_images)]
    for name, image in zip(names, whole(part), strict=False):
        Image.fromarray(torch.squeeze(image, 0).numpy()).save(root / name)
    return names


def test_promote_predict_promote_a_better_one_roll_back(first_run: tuple[Path, str], tmp_path: Path) -> None:
    root = tmp_path / "helixnas"
    shutil.copytree(first_run[0], root, symlinks=True, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
    assert "(challenger)" in call(root, "helixnas", "publish").stdout
    assert "is the first champion" in make(root, "promote").stdout
    assert aliases(root) == {"@challenger": "1", "@champion": "1"}

    names = save_test_images(root, 3)
    first = call(root, "helixnas", "predict", *names)
    assert [line.split("\t")[0] for line in first.stdout.splitlines()] == names, first.stderr

    change(root, None, ["retrain.recipe.epochs=4", "tracking.max_acc_drop=1.0"])
    done = call(root, "dvc", "repro", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "version 2 (challenger)" in call(root, "helixnas", "publish").stdout
    promoted = make(root, "promote")
    assert "Version 2 reaches" in promoted.stdout, promoted.stderr
    assert aliases(root) == {"@challenger": "2", "@champion": "2", "@previous": "1"}
    assert call(root, "helixnas", "predict", *names).stdout != first.stdout

    refused = call(root, "helixnas", "delete", "2", "--yes")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "version 2 is the champion" in refused.stderr
    assert "version 1 is the champion again" in make(root, "rollback").stdout
    assert aliases(root) == {"@challenger": "2", "@champion": "1", "@previous": "2"}
    assert call(root, "helixnas", "predict", *names).stdout == first.stdout


def test_the_champion_is_the_next_teacher(first_run: tuple[Path, str], tmp_path: Path) -> None:
    root = tmp_path / "helixnas"
    shutil.copytree(first_run[0], root, symlinks=True, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
    assert "(challenger)" in call(root, "helixnas", "publish").stdout
    assert "is the first champion" in make(root, "promote").stdout
    champion = artifacts.load_json(root / "artifacts/report/figures.json", "figures")

    done = make(root, "run", "SET=teacher.source=models:/helixnas-student@champion teacher.blocks=auto")
    assert done.returncode == 0, done.stderr[-2000:]
    figures = artifacts.load_json(root / "artifacts/report/figures.json", "figures")
    assert figures["teacher"]["cost"]["num_params"] == champion["student"]["cost"]["num_params"]
    assert aliases(root) == {"@champion": "1", "@challenger": "2"}
