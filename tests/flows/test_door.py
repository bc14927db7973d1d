"""Who gets into the servers of this machine: our own pages and programs, and nobody else."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from flows.door import AUTH, AUTH_FILE, SERVER_AUTH, Door, auth_string, own_addresses
from flows.processes import Processes, environment
from flows.schedule import POOL, deploy
from flows.servers import API_URL, Server, behind_door, free_port, program, start, wait_until_up
from flows.ui import mlflow_server
from helixnas.errors import EnvironmentFault
from tests.conftest import ROOT
from tests.flows.conftest import ask

EVIL = "evil.example"


def call(kind: str, *headers: tuple[bytes, bytes], port: int = 4200) -> str:
    """What becomes of a request at the door: "let in", or the status that it is answered with."""
    answers: list[dict[str, Any]] = []

    async def app(*_: Any) -> None:
        answers.append({})

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {"type": kind, "headers": headers, "extensions": {}}
    asyncio.run(Door(app, own_addresses(port))(scope, None, send))  # type: ignore[arg-type]
    return str(answers[0].get("status", "let in"))


def test_programs_and_pages_of_ours_are_let_in() -> None:
    for host in (b"127.0.0.1:4200", b"localhost:4200", b"LocalHost:4200"):
        assert call("http", (b"host", host)) == "let in"
        assert call("websocket", (b"host", host), (b"origin", b"http://localhost:4200")) == "let in"
    assert call("lifespan") == "let in"
    assert call("http", (b"host", b"127.0.0.1"), (b"origin", b"http://127.0.0.1"), port=80) == "let in"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"evil.example")],
        [(b"host", b"evil.example:4200")],
        [(b"host", b"127.0.0.1")],
        [(b"host", b"127.0.0.1:4200"), (b"host", b"evil.example")],
        [(b"host", b"127.0.0.1:4200.evil.example")],
        [(b"host", b"127.0.0.1:4200"), (b"origin", b"http://evil.example")],
        [(b"host", b"127.0.0.1:4200"), (b"origin", b"http://localhost:8888")],
        [(b"host", b"127.0.0.1:4200"), (b"origin", b"https://127.0.0.1:4200")],
        [(b"host", b"127.0.0.1:4200"), (b"origin", b"null")],
        [(b"host", b"127.0.0.1:4200"), (b"origin", b"")],
    ],
)
def test_everybody_else_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    assert call("http", *headers) == call("websocket", *headers) == "403"


@pytest.fixture
def without_auth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(AUTH, raising=False)
    monkeypatch.delenv(SERVER_AUTH, raising=False)


@pytest.mark.usefixtures("without_auth")
def test_the_password_is_made_once_for_this_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = auth_string(tmp_path)
    assert made.startswith("helixnas:")
    assert len(made) > 30
    assert auth_string(tmp_path) == made
    assert (tmp_path / AUTH_FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / AUTH_FILE).write_text("")  # killed as it was made
    assert auth_string(tmp_path) not in ("", made)
    monkeypatch.setenv(SERVER_AUTH, "me:mine")
    assert auth_string(tmp_path) == "me:mine"
    monkeypatch.setenv(AUTH, "you:yours")
    assert auth_string(tmp_path) == "you:yours"


@pytest.mark.usefixtures("without_auth")
def test_a_password_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / AUTH_FILE).mkdir(parents=True)
    with pytest.raises(EnvironmentFault, match=rf"auth must hold the password.*{AUTH}="):
        auth_string(tmp_path)


@pytest.mark.flow
def test_prefect_asks_for_the_password_and_tells_foreign_pages_nothing(prefect_api: str) -> None:
    own = prefect_api.removesuffix("/api")
    assert ask(prefect_api, "GET", "health", Authorization="").text == "true"
    assert ask(prefect_api, "POST", "flows/filter", json={}).status_code == 200
    assert ask(prefect_api, "POST", "flows/filter", json={}, Authorization="").status_code == 401
    assert ask(prefect_api, "POST", "flows/filter", json={}, Authorization="Basic eDp5").status_code == 401
    assert ask(prefect_api, "GET", "health", Host=EVIL).status_code == 403
    refused = ask(prefect_api, "POST", "flows/filter", json={}, Origin=f"http://{EVIL}")
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers
    allowed = ask(prefect_api, "POST", "flows/filter", json={}, Origin=own)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == own


FLOW = """
import os
from pathlib import Path

from prefect import flow

import beside


@flow
def touch(name: str = "done"):
    Path(name).write_text(os.environ.get("FORGED", beside.__name__))
"""


@pytest.fixture(scope="module")
def deployed(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A project with a small flow in the pool of ours, and the id of its deployment."""
    root = tmp_path_factory.mktemp("deployed")
    (root / "touch.py").write_text(FLOW)
    (root / "beside.py").touch()
    ours = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    deployment = {"name": "one", "entrypoint": "touch.py:touch", "work_pool": ours["deployments"][0]["work_pool"]}
    (root / "prefect.yaml").write_text(yaml.safe_dump(ours | {"deployments": [deployment]}))
    deploy(root, "prefect.yaml", {API_URL: prefect_api})
    yield root, ask(prefect_api, "GET", "deployments/name/touch/one").json()["id"]
    ask(prefect_api, "DELETE", f"work_pools/{POOL}")


@pytest.mark.flow
def test_a_worker_runs_a_deployment_and_no_command_that_a_request_names(
    prefect_api: str, deployed: tuple[Path, str]
) -> None:
    root, deployment = deployed
    create = f"deployments/{deployment}/create_flow_run"
    forged = {"job_variables": {"command": "touch forged", "env": {"FORGED": "1"}, "working_dir": str(root.parent)}}
    for refused in ({"Origin": f"http://{EVIL}"}, {"Host": EVIL}):
        assert ask(prefect_api, "POST", create, json=forged, **refused).status_code == 403
    assert ask(prefect_api, "POST", create, json=forged, Authorization="").status_code == 401
    assert ask(prefect_api, "POST", create, json=forged).status_code == 422
    assert ask(prefect_api, "POST", create, json={}).status_code == 201
    ask(prefect_api, "PATCH", f"deployments/{deployment}", json=forged).raise_for_status()  # Prefect checks later
    worker = [program("prefect"), "worker", "start", "--pool", POOL, "--run-once"]
    done = subprocess.run(worker, cwd=root, env=environment(), capture_output=True, text=True, check=False)
    assert (root / "done").read_text() == "beside", done.stdout + done.stderr
    assert not list(root.parent.rglob("forged"))


def assert_closed(server: Server, path: str, body: object) -> None:
    """Foreign hosts and foreign pages are refused, and the server's own page is not."""
    url = server.url + path
    for headers in ({"Host": EVIL}, {"Origin": f"http://{EVIL}"}, {"Origin": "null"}):
        answer = httpx.post(url, json=body, headers=headers)
        assert answer.status_code == 403, headers
        assert "access-control-allow-origin" not in answer.headers
    assert httpx.get(server.url, headers={"Host": EVIL}).status_code == 403
    assert httpx.get(server.url, follow_redirects=True).status_code == 200
    assert httpx.post(url, json=body, headers={"Origin": server.url}).is_success


@pytest.mark.flow
def test_the_optuna_dashboard_is_for_its_own_page_alone(tmp_path: Path) -> None:
    (tmp_path / "study.journal").touch()
    server = behind_door("Optuna dashboard", free_port(), "optuna", "study.journal")
    with Processes() as processes:
        wait_until_up(server, start(server, tmp_path, processes, {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}))
        assert_closed(server, "/api/studies", {"study_name": "mine", "directions": ["minimize"]})


@pytest.mark.flow
def test_mlflow_is_for_its_own_page_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_PORT", str(free_port()))
    (server,) = mlflow_server(project)
    with Processes() as processes:
        wait_until_up(server, start(server, project, processes))
        assert_closed(server, "/api/2.0/mlflow/experiments/create", {"name": "mine"})
