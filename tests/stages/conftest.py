import shutil
from pathlib import Path

import pytest

from helixnas.config import RunConfig, load


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A project of its own in which every stage has run."""
    return shutil.copytree(finished, tmp_path / "project", ignore=shutil.ignore_patterns(".cache"))


@pytest.fixture
def run_config(project: Path) -> RunConfig:
    return load(project)
