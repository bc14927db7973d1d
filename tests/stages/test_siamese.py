"""DNA++ from data to search, without a label and without what a teacher learnt: both are withheld."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from flows.parameters import change
from helixnas import artifacts
from helixnas.config import load
from helixnas.distill import Distillation
from helixnas.errors import CollapseError, ConfigError
from helixnas.handover.teacher import load_teacher, load_untaught
from helixnas.stages import distill
from helixnas.student import Projector
from tests.project import new_project, stages

OVERRIDES = (
    "data.source=folder",
    "data.path=mine",
    "teacher.model_args={channels:[8,16,24,32],num_classes:5}",
    "rating.num_calibration_images=64",
    "search.budget.madds=null",
    "distill.updates=6",
    "distill.batch_size=16",
    "distill.siamese.pairs=2",
    "distill.siamese.embedding_width=8",
)
WITHHELD = ("teacher.safetensors", "features.safetensors", "labels.safetensors", "accuracy.json", "layers.json")
"""All that the teacher stage writes of what a teacher knows. What is left says where the network is cut."""
BEFORE = ("custom", "data", "teacher", "search_space", "cost")


def new_root(folder: Path) -> Path:
    """A small project on 120 images in no class folder, before its first stage."""
    (folder / "mine").mkdir()
    rng = np.random.default_rng(0)
    for index in range(120):
        pixels = np.kron(rng.integers(0, 256, (4, 4), np.uint8), np.ones((2, 2), np.uint8))
        Image.fromarray(pixels).save(folder / f"mine/{index}.png")
    new_project(folder)
    change(folder, "dnapp", [*OVERRIDES, "search.budget.latency_ms=null"])
    return folder


def run(root: Path, *names: str) -> None:
    config = load(root)
    for stage in stages(len(config.teacher.block_ids)):
        if stage.name in names:
            stage.run(root, config)


def outputs(root: Path, name: str) -> dict[str, bytes]:
    folder = root / "artifacts" / name
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which all stages before distill have run, and nothing of a teacher's knowledge is left."""
    root = new_root(tmp_path_factory.mktemp("unlabelled"))
    with contextlib.chdir(root):
        run(root, *BEFORE)
    for name in WITHHELD:
        (root / "artifacts/teacher" / name).rename(root / name)
    return root


@pytest.fixture(scope="module")
def searched(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = shutil.copytree(prepared, tmp_path_factory.mktemp("searched") / "project")
    with contextlib.chdir(root):
        run(root, "distill", "rating", "search")
    return root


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    return shutil.copytree(prepared, tmp_path / "project")


def test_a_search_needs_neither_labels_nor_what_a_teacher_learnt(searched: Path) -> None:
    chosen = artifacts.load_json(searched / "artifacts/search/chosen.json", "chosen")
    assert chosen["arch_id"].count("-") == 1
    for block_id in (0, 1):
        table, facts = artifacts.load_table(searched / f"artifacts/rating/block_{block_id}/rating.parquet", "ratings")
        assert (facts["criterion"], facts["constant"]) == ("population", None)
        assert table["rating"].between(0, 2).all()
        assert table["rating"].is_unique


def test_collapse_is_measured_in_each_epoch(searched: Path) -> None:
    curve = artifacts.load_csv(searched / "artifacts/distill/block_0/curve.csv", "curve")
    epochs = curve.groupby("name")["step"].agg(list).to_dict()
    assert set(epochs) == {"distill_loss", "embedding_spread", "image_agreement"}
    assert len({tuple(steps) for steps in epochs.values()}) == 1
    assert len(epochs["distill_loss"]) > 1


def test_retraining_wants_labels_or_a_teacher(searched: Path, tmp_path: Path) -> None:
    root = shutil.copytree(searched, tmp_path / "project")
    for name in WITHHELD:  # with all that there is, it is not enough
        shutil.copy(root / name, root / "artifacts/teacher" / name)
    with contextlib.chdir(root), pytest.raises(ConfigError, match=r"retrain needs labels or a trained teacher.*result"):
        run(root, "retrain")
    assert (root / "artifacts/search/chosen.json").is_file()


def test_a_search_that_is_killed_in_an_epoch_ends_with_the_same_bytes(
    searched: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, done = Distillation.step, []

    def killed(self: Distillation, offset: int, batch: object) -> None:
        if len(done) == 11:  # in the second epoch
            raise KeyboardInterrupt
        done.append(offset)
        step(self, offset, batch)

    with contextlib.chdir(root):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Distillation, "step", killed)
            run(root, "distill")
        assert not (root / "artifacts/distill").exists()
        assert list((root / ".cache/resume").glob("distill@0-*/checkpoint.pt"))
        run(root, "distill")
    assert outputs(root, "distill") == outputs(searched, "distill")


def test_a_supernet_that_collapses_ends_the_run_before_a_table_is_made(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helixnas.distill.siamese.Projector.forward", _constant)
    with contextlib.chdir(root), pytest.raises(CollapseError, match=r"block 0 must tell images apart.*variance_weight"):
        distill.run(load(root), 0)
    assert not (root / "artifacts/distill").exists()


def _constant(projector: Projector, outputs: Tensor) -> Tensor:
    """The same embedding for each image, which a gradient can reach."""
    return torch.ones(len(outputs), 8) + 0 * torch.stack([each.sum() for each in projector.parameters()]).sum()


def test_without_training_the_network_is_the_one_that_students_get_their_stem_from(root: Path) -> None:
    for name in WITHHELD:
        shutil.copy(root / name, root / "artifacts/teacher" / name)
    config, cpu = load(root), torch.device("cpu")
    untaught = load_untaught(root, config, cpu)
    pairs = zip(untaught.network.parameters(), load_teacher(root, config, cpu).network.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
