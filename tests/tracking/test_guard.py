import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from helixnas.tracking import Store, guard
from helixnas.tracking.store import prepare

NAME = "student"


@pytest.fixture
def client(store: Store) -> MlflowClient:
    """MLflow's own client, with a champion (1) and another version (2)."""
    store.client.create_registered_model(NAME)
    for _ in range(2):
        store.client.create_model_version(NAME, "file:///somewhere")
    store.client.set_registered_model_alias(NAME, "champion", "1")
    return store.client


DELETIONS: dict[str, Callable[[MlflowClient], None]] = {
    "the version": lambda client: client.delete_model_version(NAME, "1"),
    "the model": lambda client: client.delete_registered_model(NAME),
    "the alias": lambda client: client.delete_registered_model_alias(NAME, "champion"),
}


@pytest.mark.parametrize("what", DELETIONS)
def test_mlflows_own_client_cannot_delete_the_champion(client: MlflowClient, what: str) -> None:
    with pytest.raises(MlflowException, match="the champion cannot be deleted"):
        DELETIONS[what](client)
    champion = client.get_model_version_by_alias(NAME, "champion")
    assert (int(champion.version), champion.source) == (1, "file:///somewhere")


@pytest.mark.parametrize("what", DELETIONS)
def test_without_the_guard_mlflow_deletes_it_silently(client: MlflowClient, root: Path, what: str) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as connection, connection:
        connection.execute("DROP TRIGGER helixnas_keep_champion")
    DELETIONS[what](client)
    with pytest.raises(MlflowException):
        client.get_model_version_by_alias(NAME, "champion")


def test_another_version_can_be_deleted(client: MlflowClient) -> None:
    client.set_registered_model_alias(NAME, "challenger", "2")
    client.delete_model_version(NAME, "2")
    assert [int(version.version) for version in client.search_model_versions(f"name='{NAME}'")] == [1]


def test_the_champion_moves_and_then_the_old_one_can_be_deleted(client: MlflowClient) -> None:
    client.set_registered_model_alias(NAME, "champion", "2")
    client.delete_model_version(NAME, "1")
    assert int(client.get_model_version_by_alias(NAME, "champion").version) == 2


def test_a_model_with_a_champion_can_be_renamed(client: MlflowClient) -> None:
    client.rename_registered_model(NAME, "pupil")
    assert int(client.get_model_version_by_alias("pupil", "champion").version) == 1


def test_the_guard_is_put_in_once(root: Path) -> None:
    guard.install(root / "mlflow.db")
    prepare(root / "mlflow.db")
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        rows = connection.execute("SELECT tbl_name FROM sqlite_master WHERE name = 'helixnas_keep_champion'").fetchall()
    assert rows == [("registered_model_aliases",)]
