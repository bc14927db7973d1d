"""Where MLflow keeps its records, made ready: one SQLite file, migrated once, and a folder of artifacts beside it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
from alembic.util import CommandError
from mlflow.db import upgrade
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from helixnas.artifacts import atomic, exclusive
from helixnas.errors import ConfigError, EnvironmentFault
from helixnas.tracking import guard

ENV = "MLFLOW_TRACKING_URI"
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Store:
    """An open store: its client, its URI, and the experiment that runs belong to."""

    client: MlflowClient
    uri: str
    experiment_id: str

    @contextmanager
    def ambient(self) -> Iterator[None]:
        """Make this the process's store for the body: ``mlflow.pytorch`` takes no client. Not for threads."""
        before = os.environ.get(ENV)
        mlflow.set_tracking_uri(self.uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(before)  # MLflow writes the URI into the environment too, so this restores both


_FULL = ("database or disk is full", "disk I/O error", "No space left on device", "File too large", "quota exceeded")
"""What SQLite and the system say of a disk without room, wherever in MLflow it comes up."""


@contextmanager
def room() -> Iterator[None]:
    """Say in one message that the disk is full, which MLflow reports in many ways: EnvironmentFault."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, CommandError, sqlite3.Error, OSError, EnvironmentFault) as error:
        if any(words.lower() in str(error).lower() for words in _FULL):
            reason = " ".join(str(error).split())[:200]
            raise EnvironmentFault(
                f"MLflow's records must have room to grow, but the disk is full or fails: {reason}. "
                "Free some space and run this again."
            ) from error
        raise


@room()
def open_store(root: Path, experiment: str) -> Store:
    """The store of the project at ``root``: ``root/mlflow.db``, or what MLFLOW_TRACKING_URI names.

    Any number of processes may call it at once, on a fresh store too. Raises ConfigError for a URI that cannot work
    and for a deleted experiment, EnvironmentFault where the store does not answer.
    """
    uri = tracking_uri(root)
    artifacts = None
    if uri.startswith(_SQLITE):
        database = Path(uri.removeprefix(_SQLITE))
        prepare(database)
        artifacts = (database.parent / "mlartifacts").as_uri()
    try:
        client = MlflowClient(tracking_uri=uri)
        return Store(client, uri, _experiment_id(client, experiment, artifacts))
    except MlflowException as error:
        raise EnvironmentFault(f"MLflow must answer at {uri}, but: {error}. Start it, or unset {ENV}.") from error


def tracking_uri(root: Path) -> str:
    """The store's URI, absolute, so that it means the same in every working directory; ConfigError if it cannot be."""
    uri = os.environ.get(ENV) or f"{_SQLITE}{root.resolve() / 'mlflow.db'}"
    scheme = urlsplit(uri).scheme
    is_relative = scheme == "sqlite" and not uri.startswith(f"{_SQLITE}/")
    if scheme in ("", "file") or is_relative:
        raise ConfigError(
            f"{ENV} must be sqlite:////absolute/path/mlflow.db or a server's address, but is {uri!r}. "
            "Change it, or unset it to use mlflow.db in the project's folder."
        )
    return uri


def prepare(database: Path) -> None:
    """Make or migrate the database and put the guard in. Processes take turns: two migrations at once break it."""
    path = database.with_name(f"{database.name}.lock")
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(path))
        except OSError as error:
            raise EnvironmentFault(
                f"{path} must be writable, but: {error}. Check the folder's rights, or {ENV}."
            ) from error
        if database.exists():
            _migrate(database)
        else:
            with atomic(database) as fresh:  # a kill must not leave half a schema behind
                _migrate(fresh)
        guard.install(database)


def _migrate(database: Path) -> None:
    try:
        upgrade.main([f"{_SQLITE}{database}"], standalone_mode=False)
    except (SQLAlchemyError, CommandError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EnvironmentFault(
            f"{database} must be a database of this MLflow ({mlflow.__version__}) or an older one, but: {reason}. "
            "Install the MLflow that wrote it, or move the file away to start afresh."
        ) from error


def _experiment_id(client: MlflowClient, name: str, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        found = client.get_experiment_by_name(name)  # another process was quicker
    if found.lifecycle_stage != "active":
        raise ConfigError(
            f"tracking.experiment must be in use, but {name!r} was deleted in MLflow. "
            f"Run `mlflow experiments restore -x {found.experiment_id}`, or choose another name in params.yaml."
        )
    return str(found.experiment_id)
