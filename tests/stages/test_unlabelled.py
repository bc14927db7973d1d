"""A whole run on images that have no labels: the teacher's own top-1 stands for them, and it is called that."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flows.parameters import change
from helixnas import artifacts
from helixnas.config import load
from helixnas.data import ImageSet
from helixnas.fit import top1
from helixnas.handover.parts import load_part
from helixnas.handover.teacher import load_teacher
from helixnas.results import figures_from_json
from tests.project import new_project, run_all

OVERRIDES = (
    "data.source=folder",
    "data.path=mine",
    "teacher.recipe.epochs=0",
    "teacher.model_args={channels:[8,16,24,32],num_classes:5}",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project where every stage has run, on 120 images in no class folder."""
    folder = tmp_path_factory.mktemp("unlabelled")
    (folder / "mine").mkdir()
    rng = np.random.default_rng(0)
    for index in range(120):
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f"mine/{index}.png")
    new_project(folder)
    change(folder, None, [*OVERRIDES, "rating.num_calibration_images=64"])
    with contextlib.chdir(folder):
        run_all(folder)
    return folder


@pytest.mark.parametrize("name", ["train", "rating", "test"])
def test_the_teachers_top_1_stands_for_labels(root: Path, name: str) -> None:
    raw = ImageSet.load(root / f"artifacts/data/{name}")
    assert (set(raw.labels.tolist()), raw.class_names) == ({-1}, ())
    part = load_part(root, name)
    assert (part.is_labelled, part.num_classes, part.class_names) == (False, None, ("0", "1", "2", "3", "4"))
    teacher = load_teacher(root, load(root), torch.device("cpu"))
    assert torch.equal(part.labels, top1(teacher.network, part))


def test_the_figures_are_agreement_and_are_called_so(root: Path) -> None:
    figures = figures_from_json(artifacts.load_json(root / "artifacts/report/figures.json", "figures"))
    assert (figures.is_labelled, figures.acc_name) == (False, "agreement with the teacher")
    assert figures.teacher.top1_acc == 1.0
    assert figures.split == load_part(root, "test").split
    page = (root / "artifacts/report/report.html").read_text()
    assert "agreement with the teacher" in page
    assert "top-1 accuracy" not in page


def test_the_student_predicts_the_teachers_classes(root: Path) -> None:
    arch = artifacts.load_json(root / "artifacts/retrain/arch.json", "arch")
    assert arch["class_names"] == ["0", "1", "2", "3", "4"]
