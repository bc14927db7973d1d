"""A small project in DVC, three blocks wide, and one Prefect server for all tests that need one."""

import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from flows.door import AUTH
from flows.parameters import change
from flows.processes import dvc_command, environment
from flows.servers import API_URL, start_temporary_prefect
from helixnas.forkserver import ADDRESS
from tests.conftest import ROOT

DVC_YAML = """\
stages:
  data:
    cmd: python step.py data
    deps: [step.py]
    params: [seed]
    outs: [artifacts/data]
  distill:
    matrix: {block_id: [0, 1, 2]}
    cmd: python step.py distill_${item.block_id} artifacts/data/value.txt
    deps: [step.py, artifacts/data]
    params: [distill.lr]
    outs: ["artifacts/distill_${item.block_id}"]
  search:
    cmd: python step.py search artifacts/distill_0/value.txt artifacts/distill_1/value.txt artifacts/distill_2/value.txt
    deps: [step.py, artifacts/distill_0, artifacts/distill_1, artifacts/distill_2]
    outs: [artifacts/search]
"""

STAGES = ["data", "distill@0", "distill@1", "distill@2", "search"]


def run_dvc(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        dvc_command(*arguments), cwd=root, env=environment(), capture_output=True, text=True, check=True
    )
    return done.stdout


def run_counts(root: Path) -> dict[str, int]:
    return {path.name: len(path.read_text().splitlines()) for path in (root / "runs").iterdir()}


def ask(api_url: str, method: str, path: str, *, json: object = None, **headers: str) -> httpx.Response:
    """Ask Prefect's API, by default as its owner does; ``Authorization=""`` leaves the password out."""
    owner = {"Authorization": "Basic " + b64encode(os.environ[AUTH].encode()).decode()}
    given = {name: value for name, value in (owner | headers).items() if value}
    return httpx.request(method, f"{api_url}/{path}", json=json, headers=given, timeout=30)


def scheduled_runs(api_url: str, filters: dict[str, object]) -> list[dict[str, object]]:
    return list(ask(api_url, "POST", "flow_runs/filter", json=filters).raise_for_status().json())


@pytest.fixture(scope="session")
def fresh_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for name in ("params.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    shutil.copy(Path(__file__).parent / "step.py", root / "step.py")
    shutil.copytree(ROOT / "conf", root / "conf")
    change(root, "tiny", ["cost.kinds=[madds,num_params]"])  # the plan before a run takes seconds then
    shutil.rmtree(root / "conf")
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / "trouble").mkdir()
    run_dvc(root, "init", "--no-scm", "--quiet")
    return root


@pytest.fixture
def project(fresh_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a project where nothing has run yet."""
    root = tmp_path / "project"
    shutil.copytree(fresh_project, root)
    monkeypatch.chdir(root)
    monkeypatch.setenv(ADDRESS, "")  # step.py has nothing to import
    return root


@pytest.fixture
def trouble(project: Path) -> Callable[[str, str], None]:
    """Makes a step print an error and end with 2; "raise" makes it raise, "sleep" makes it hang."""
    return lambda step, text: (project / "trouble" / step).write_text(text) and None


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of a real server with a home of its own."""
    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        patch.setenv(AUTH, "")
        patch.delenv(API_URL, raising=False)
        with pytest.MonkeyPatch.context() as for_the_server:
            for_the_server.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))
            wait_until_up = start_temporary_prefect(home)
        wait_until_up()
        yield os.environ[API_URL]
