"""The distil stage: the same files however blocks are grouped, in one process or two, streamed or from disk."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from flows.parameters import change
from helixnas.config import load
from helixnas.errors import ConfigError
from helixnas.stages import distill
from tests.project import new_project

PLAIN = ["distill.augment.min_scale=1", "distill.augment.hflip=0.5", "distill.updates=2"]


def new_root(finished: Path, root: Path, *overrides: str) -> Path:
    """A project where distill has everything before it and nothing of its own."""
    root.mkdir()
    new_project(root)
    change(root, None, [*PLAIN, *overrides])
    for name in ("custom", "data", "teacher", "search_space"):
        shutil.copytree(finished / "artifacts" / name, root / "artifacts" / name)
    return root


def run(root: Path, block_ids: Sequence[int] = (0, 1)) -> Path:
    config = load(root)
    with contextlib.chdir(root):
        for block_id in block_ids:
            distill.run(config, block_id)
    return root


def outputs(root: Path) -> dict[str, bytes]:
    folder = root / "artifacts" / "distill"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def alone(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What two blocks give, each alone, streamed."""
    root = tmp_path_factory.mktemp("alone")
    return outputs(run(new_root(finished, root / "project", "distill.groups=2", "teacher.features=stream")))


@pytest.mark.parametrize("features", ["stream", "cache", "auto"])
def test_files_are_the_same_in_a_group_and_from_disk(
    finished: Path, tmp_path: Path, alone: dict[str, bytes], features: str
) -> None:
    root = run(new_root(finished, tmp_path / "project", "distill.groups=1", f"teacher.features={features}"), (1, 0))
    assert outputs(root) == alone
    assert (root / ".cache/features").exists() == (features != "stream")
    assert not [path for path in (root / ".cache/resume").iterdir() if path.is_dir()]


@pytest.mark.slow
@pytest.mark.parametrize("features", ["stream", "cache"])
def test_files_are_the_same_from_two_processes_at_once(
    finished: Path, tmp_path: Path, alone: dict[str, bytes], features: str
) -> None:
    root = new_root(finished, tmp_path / "project", "distill.groups=1", f"teacher.features={features}")
    command = [sys.executable, "-m", "helixnas", "distill", "--block-id"]
    processes = [subprocess.Popen([*command, str(block_id)], cwd=root, stderr=subprocess.PIPE) for block_id in (0, 1)]
    for process in processes:
        assert process.communicate(timeout=120)[1] is not None
        assert process.returncode == 0
    assert outputs(root) == alone


def test_what_was_trained_beside_waits_until_its_own_stage_takes_it(finished: Path, tmp_path: Path) -> None:
    root = run(new_root(finished, tmp_path / "project", "distill.groups=1", "teacher.features=stream"), [0])
    assert not (root / "artifacts/distill/block_1").exists()  # no stage writes another's outputs
    (resume,) = (path for path in (root / ".cache/resume").iterdir() if path.is_dir())
    assert resume.name.startswith("distill@1-")
    run(root, [1])
    assert not resume.exists()


def test_a_block_that_is_current_is_not_trained_again(finished: Path, tmp_path: Path) -> None:
    root = run(new_root(finished, tmp_path / "project", "distill.groups=1", "teacher.features=stream"))
    shutil.rmtree(root / "artifacts/distill/block_1")
    run(root, [1])
    assert not [path for path in (root / ".cache/resume").iterdir() if path.is_dir()]


def test_an_edit_of_the_code_that_changes_no_weight_changes_no_file(
    finished: Path, tmp_path: Path, alone: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helixnas.source.stage_digest", lambda *_, **__: "other code")
    root = new_root(finished, tmp_path / "project", "distill.groups=2", "teacher.features=stream")
    assert outputs(run(root)) == alone


def test_blocks_of_another_group_are_left_alone(finished: Path, tmp_path: Path) -> None:
    root = run(new_root(finished, tmp_path / "project", "distill.groups=2", "teacher.features=stream"), [0])
    assert not [path for path in (root / ".cache/resume").iterdir() if path.is_dir()]


def test_a_cache_that_is_demanded_and_does_not_fit_is_told_with_its_size(finished: Path, tmp_path: Path) -> None:
    small = new_root(finished, tmp_path / "small", "teacher.features=cache", "teacher.cache_gb=0.000001")
    with pytest.raises(ConfigError, match=r"teacher\.cache_gb must hold .* 0\.\d+ GB, but is 1e-06\. Raise it, or set"):
        run(small, [0])


@pytest.mark.parametrize("overrides", [["teacher.cache_gb=0.000001"], ["distill.augment.min_scale=0.5"]])
def test_auto_streams_what_cannot_be_kept(finished: Path, tmp_path: Path, overrides: list[str]) -> None:
    root = run(new_root(finished, tmp_path / "project", "teacher.features=auto", *overrides), [0])
    assert not (root / ".cache/features").exists()
