"""The rating stage: a whole table or none."""

import contextlib
from pathlib import Path

import pytest
import torch

from helixnas import artifacts
from helixnas.config import RunConfig
from helixnas.errors import ArtifactError
from helixnas.handover.space import load_space
from helixnas.progress import Reporter
from helixnas.stages import rating

TABLE = Path("artifacts/rating/block_0/rating.parquet")
SUPERNET = Path("artifacts/distill/block_0/supernet.safetensors")


@pytest.fixture
def unrated(project: Path) -> Path:
    """A project whose block 0 is still to be rated; DVC removes a stage's outputs before it runs."""
    (project / TABLE).unlink()
    return project


def run(root: Path, config: RunConfig) -> None:
    with contextlib.chdir(root):
        rating.run(config, 0)


def litter(root: Path) -> list[Path]:
    return list((root / TABLE).parent.glob("*")) if (root / TABLE).parent.exists() else []


def test_rating_again_gives_the_same_bytes(unrated: Path, finished: Path, run_config: RunConfig) -> None:
    run(unrated, run_config)
    assert (unrated / TABLE).read_bytes() == (finished / TABLE).read_bytes()


@pytest.mark.parametrize("num_paths", [1, 5])
def test_an_interrupted_rating_leaves_no_table(
    unrated: Path, run_config: RunConfig, monkeypatch: pytest.MonkeyPatch, num_paths: int
) -> None:
    def interrupt(reporter: Reporter, done: int, total: int) -> None:
        if done == num_paths:
            raise KeyboardInterrupt

    monkeypatch.setattr(Reporter, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(unrated, run_config)
    assert litter(unrated) == []


def test_a_supernet_that_gives_no_number_leaves_no_table(unrated: Path, run_config: RunConfig) -> None:
    tensors, facts = artifacts.load_tensors(unrated / SUPERNET, "supernet")
    broken = next(name for name in tensors if name.startswith("cells.1.") and tensors[name].ndim == 4)
    artifacts.save_tensors(
        unrated / SUPERNET, "supernet", tensors | {broken: torch.full_like(tensors[broken], float("nan"))}, facts
    )
    with pytest.raises(ArtifactError, match=r"block 0 must hold finite ratings, but path 1:\S+ has none"):
        run(unrated, run_config)
    assert litter(unrated) == []


def test_the_last_line_says_how_many_trained_paths_are_of_use(
    unrated: Path, run_config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    run(unrated, run_config)
    losses = artifacts.load_table(unrated / TABLE, "ratings")[0]["rating"]
    space = load_space(unrated, run_config)
    trained = [
        loss
        for loss, path in zip(losses, space.blocks[0].paths(), strict=True)
        if space.blocks[0].cells[path.cell].is_trainable
    ]
    last = capsys.readouterr().err.splitlines()[-1]
    beat = sum(loss < 1 for loss in trained)
    assert last.startswith(f"block 0: of {len(trained)} trained paths {beat} are better than a constant")


def test_the_teachers_own_block_is_rated_0_to_the_bit(finished: Path) -> None:
    frame, _ = artifacts.load_table(finished / TABLE, "ratings")
    assert frame["rating"][0] == 0.0
