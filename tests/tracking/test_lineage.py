import subprocess
from pathlib import Path

import pytest

from helixnas.errors import ArtifactError
from helixnas.tracking import Commit, dvc_md5, read_commit


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(root), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_commit_is_read_with_whether_files_differ_from_it(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "a").touch()
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    sha = git(tmp_path, "rev-parse", "HEAD")
    assert read_commit(tmp_path) == Commit(sha, is_dirty=False)
    (tmp_path / "a").write_text("changed")
    assert read_commit(tmp_path) == Commit(sha, is_dirty=True)


def test_without_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_commit(tmp_path) == Commit("unknown", is_dirty=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_commit(tmp_path) == Commit("unknown", is_dirty=True)


def test_an_outputs_digest_is_its_own(project: Path) -> None:
    assert dvc_md5(project, Path("artifacts/data/train")) == "1" * 32


def test_a_file_in_an_output_folder_has_the_folders_digest(project: Path) -> None:
    assert dvc_md5(project, Path("artifacts/retrain/student.safetensors")) == "2" * 32 + ".dir"


def test_an_output_that_dvc_does_not_know_is_told(project: Path) -> None:
    with pytest.raises(ArtifactError, match=r"dvc\.lock must record artifacts/data/test"):
        dvc_md5(project, Path("artifacts/data/test"))


def test_without_dvc_lock_nothing_was_recorded(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="Run `dvc repro`"):
        dvc_md5(tmp_path, Path("artifacts/retrain/student.safetensors"))
