"""A checkout of this repository, and the same after ``make run PRESET=tiny``: what users have, with all their tools."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.processes import environment
from tests.conftest import ROOT

CHECKED_OUT = (
    "params.yaml",
    "dvc.yaml",
    "prefect.yaml",
    "Makefile",
    "pyproject.toml",
    "requirements.lock",
    ".dvcignore",
    ".gitignore",
)
FOLDERS = (".dvc/config", "conf", "datasets", "examples", "flows", "own", "src")
FOREIGN = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "DVC_ROOT", "HELIXNAS_WATCHED")
TIMEOUT_S = 600


def call(root: Path, *command: str, timeout_s: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would in ``root``, with this environment's programs first on PATH; whatever comes."""
    return subprocess.run(
        command, cwd=root, env=environment(), capture_output=True, text=True, check=False, timeout=timeout_s
    )


def make(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``make`` in ``root``, set up with the environment that runs the tests."""
    set_up(root)
    return call(root, "make", "--no-print-directory", *arguments)


def set_up(root: Path) -> None:
    """Put this environment where ``make`` has its own, so that it need not install one."""
    folder = root / ".venv"
    if not folder.exists():
        folder.mkdir()
        for name in ("bin", "lib", "pyvenv.cfg"):
            (folder / name).symlink_to(Path(sys.prefix) / name)
    (folder / ".installed").touch()


def digests(root: Path, stages: Sequence[str] | None = None) -> dict[str, str]:
    """What dvc.lock records of each output."""
    locked = yaml.safe_load((root / "dvc.lock").read_text())["stages"]
    return {out["path"]: out["md5"] for stage in stages or locked for out in locked[stage].get("outs", [])}


def start(root: Path, *command: str) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own."""
    log = (root / "killed.log").open("wb")
    with log:
        return subprocess.Popen(
            command, cwd=root, env=environment(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def kill(process: subprocess.Popen[Any]) -> None:
    """kill -9, for the process and all that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="session")
def clean_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkout") / "helixnas"
    for name in FOLDERS:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for name in CHECKED_OUT:
        shutil.copy(ROOT / name, root / name)
    git = ("git", "-c", "user.name=a user", "-c", "user.email=user@example.org")
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "a clean checkout")):
        done = call(root, *git, *command)
        assert done.returncode == 0, done.stderr
    return root


def forget_servers(patch: pytest.MonkeyPatch) -> None:
    """Commands must not reach servers that the developer, or another test of this process, has running."""
    for name in FOREIGN:
        patch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def own_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_servers(monkeypatch)


@pytest.fixture(scope="session")
def first_run(clean_checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A checkout in which the tiny preset has run, and what it printed. Tests work in copies of it."""
    root = tmp_path_factory.mktemp("finished") / "helixnas"
    shutil.copytree(clean_checkout, root)
    with pytest.MonkeyPatch.context() as patch:  # a fixture of the session comes before that of a test
        forget_servers(patch)
        done = make(root, "run", "PRESET=tiny")
    assert done.returncode == 0, done.stderr[-2000:]
    return root, done.stdout


Copy = Callable[..., Path]


@pytest.fixture
def finished(first_run: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the finished run, DVC's cache and all but MLflow's records, which know where they lie."""
    root = tmp_path / "helixnas"
    shutil.copytree(first_run[0], root, symlinks=True, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
    return root
