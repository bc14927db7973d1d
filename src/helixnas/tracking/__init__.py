"""MLflow remembers: a run for each pipeline, the students it made, and which of them is the champion."""

import os

# before the imports below: MLflow reads these switches while it is imported
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # a server that is down is told in seconds, not minutes
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"  # a model that is loaded must not run code

from helixnas.tracking.alias import CHALLENGER, CHAMPION, PREVIOUS
from helixnas.tracking.lineage import Commit, dvc_md5, read_commit, recorded_stages
from helixnas.tracking.load import Loaded, extra_files, fetch_program, load_model, load_version, require_alias
from helixnas.tracking.paired import Paired
from helixnas.tracking.pipeline import begin, end
from helixnas.tracking.promotion import Promotion, delete, promote, rollback
from helixnas.tracking.registry import Student, register
from helixnas.tracking.store import Store, open_store
from helixnas.tracking.versions import Version, find, versions

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "PREVIOUS",
    "Commit",
    "Loaded",
    "Paired",
    "Promotion",
    "Store",
    "Student",
    "Version",
    "begin",
    "delete",
    "dvc_md5",
    "end",
    "extra_files",
    "fetch_program",
    "find",
    "load_model",
    "load_version",
    "open_store",
    "promote",
    "read_commit",
    "recorded_stages",
    "register",
    "require_alias",
    "rollback",
    "versions",
]
