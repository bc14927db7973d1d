import os
import subprocess
import sys
from pathlib import Path

import mlflow.telemetry
import pytest
from mlflow.exceptions import MlflowException

from helixnas.errors import ConfigError, EnvironmentFault
from helixnas.tracking import open_store
from helixnas.tracking.store import ENV, Store, room, tracking_uri
from tests.test_artifacts import no_room

OPEN = "import sys; from pathlib import Path; from helixnas.tracking import open_store; "
OPEN += "print(open_store(Path(sys.argv[1]), 'test').experiment_id)"


def test_the_store_lies_in_the_project_under_an_absolute_uri(root: Path, store: Store) -> None:
    assert store.uri == f"sqlite:///{root}/mlflow.db"
    experiment = store.client.get_experiment(store.experiment_id)
    assert (experiment.name, experiment.artifact_location) == ("test", (root / "mlartifacts").as_uri())


def test_opening_again_finds_the_same_experiment(root: Path, store: Store) -> None:
    assert open_store(root, "test").experiment_id == store.experiment_id


def test_a_relative_root_gives_an_absolute_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENV, raising=False)
    monkeypatch.chdir(tmp_path)
    assert tracking_uri(Path()) == f"sqlite:///{tmp_path}/mlflow.db"


def test_three_processes_may_open_a_fresh_store_at_once(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != ENV}
    command = [sys.executable, "-c", OPEN, str(tmp_path)]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=120) for process in started]
    assert answers == [("1\n", "")] * 3
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_the_environment_names_another_store(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / "mlflow.db").rename(elsewhere / "runs.db")
    monkeypatch.setenv(ENV, f"sqlite:///{elsewhere}/runs.db")
    opened = open_store(root, "test")
    assert opened.uri == f"sqlite:///{elsewhere}/runs.db"
    assert opened.client.get_experiment_by_name("test").artifact_location == (elsewhere / "mlartifacts").as_uri()
    assert not (root / "mlflow.db").exists()


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "sqlite:///mlflow.db", "sqlite://"])
def test_a_file_store_or_a_relative_path_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv(ENV, uri)
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI must be sqlite:////absolute"):
        open_store(root, "test")


def test_a_server_that_does_not_answer_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV, "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(EnvironmentFault, match=r"MLflow must answer at http://127\.0\.0\.1:9"):
        open_store(root, "test")


def test_a_file_that_is_no_database_is_told_and_left_alone(root: Path) -> None:
    (root / "mlflow.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(EnvironmentFault, match=r"mlflow\.db must be a database of this MLflow"):
        open_store(root, "test")
    assert (root / "mlflow.db").read_bytes() == b"no database at all" * 100


def test_a_deleted_experiment_is_told(root: Path, store: Store) -> None:
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(ConfigError, match=r"tracking\.experiment must be in use, but 'test' was deleted"):
        open_store(root, "test")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(ENV, f"sqlite:///{tmp_path}/file/mlflow.db")
    with pytest.raises(EnvironmentFault, match="must be writable"):
        open_store(tmp_path, "test")


def test_the_ambient_store_is_the_processs_for_a_while(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.ambient():
        assert mlflow.get_tracking_uri() == store.uri
    assert ENV not in os.environ
    monkeypatch.setenv(ENV, "sqlite:////another.db")
    with pytest.raises(KeyError), store.ambient():
        raise KeyError
    assert mlflow.get_tracking_uri() == os.environ[ENV] == "sqlite:////another.db"
    mlflow.set_tracking_uri(None)


def test_mlflow_sends_nothing_home() -> None:
    assert mlflow.telemetry.get_telemetry_client() is None


def test_a_disk_that_is_full_when_the_database_is_made_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ENV, raising=False)
    with no_room(), pytest.raises(EnvironmentFault, match="must have room to grow, but the disk is full"):
        open_store(tmp_path, "test")
    assert not (tmp_path / "mlflow.db").exists()
    assert open_store(tmp_path, "test").experiment_id == "1"


def test_a_disk_that_is_full_later_is_told_as_such_and_other_faults_are_not(store: Store) -> None:
    with no_room(), pytest.raises(EnvironmentFault, match="must have room to grow, but the disk is full"), room():
        store.client.create_experiment("x" * 400)
    with pytest.raises(MlflowException, match="already exists"), room():
        store.client.create_experiment("test")
