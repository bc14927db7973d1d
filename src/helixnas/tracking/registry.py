"""From a retrained student to a version in MLflow's registry, made once for each student file."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow
import numpy as np
import torch
from torch import nn

from helixnas.results import Figures
from helixnas.scratch import scratch
from helixnas.tracking.alias import CHALLENGER
from helixnas.tracking.load import digest, download, load_network
from helixnas.tracking.store import Store, room
from helixnas.tracking.versions import SHA256, Version, find, get, tags

MAX_DESCRIPTION = 5000
"""Characters that MLflow's databases hold of a version's description; the whole card is among its files."""


@dataclass(frozen=True, slots=True, eq=False)
class Student:
    """What is registered.

    ``module`` takes float32 [N, C, H, W] in 0 to 1. ``example`` is such a batch with N >= 2: of a single image
    torch.export would make a graph for single images. ``files`` travel with the module; ``card`` describes the version.
    """

    module: nn.Module
    example: np.ndarray
    files: tuple[Path, ...]
    card: str = ""


@room()
def register(
    store: Store,
    name: str,
    student: Callable[[], Student],
    *,
    figures: Figures,
    dvc_md5: str,
    commit: str,
    run_id: str,
) -> Version:
    """The version of the student file with digest ``dvc_md5``, made if there is none, and named the challenger.

    ``student`` is called only to make a version, since building the module takes seconds.
    """
    found = find(store, name, dvc_md5)
    if found is None:
        number = _add(store, name, student(), tags(figures, dvc_md5) | {"git_commit": commit}, run_id)
    else:
        number = found.version
        for key, value in tags(figures, dvc_md5).items():  # the budget or the measured latency may be new
            store.client.set_model_version_tag(name, str(number), key, value)
    store.client.set_registered_model_alias(name, CHALLENGER, str(number))
    return replace(get(store, name, number), is_new=found is None)


def _add(store: Store, name: str, student: Student, values: dict[str, str], run_id: str) -> int:
    uri = _log(store, student, run_id)
    images = torch.from_numpy(np.concatenate([student.example, student.example[:1]]))
    with scratch() as folder, torch.no_grad():  # what was exported must compute what was trained, on another size too
        download(store, uri, folder)
        torch.testing.assert_close(load_network(folder)(images), student.module(images), rtol=1e-3, atol=1e-3)
        values = values | {SHA256: digest(folder)}
    said = io.StringIO()  # two lines on stderr of what is returned anyway; a fault is raised
    with store.ambient(), redirect_stderr(said):
        made = mlflow.register_model(uri, name, tags=values, await_registration_for=0)
    store.client.update_model_version(name, made.version, student.card[:MAX_DESCRIPTION])
    return int(made.version)


def _log(store: Store, student: Student, run_id: str) -> str:
    """Export the module as pt2, with any batch size, into the run; return MLflow's URI of it."""
    import mlflow.pytorch
    from mlflow.models import infer_signature

    with torch.no_grad():
        outputs = student.module.eval()(torch.from_numpy(student.example))
    with store.ambient(), mlflow.start_run(run_id=run_id):
        info = mlflow.pytorch.log_model(
            student.module,
            name="student",
            signature=infer_signature(student.example, outputs.numpy()),
            input_example=student.example,
            serialization_format="pt2",
            extra_files=[str(path) for path in student.files],
            pip_requirements=[
                f"{package.__name__}=={package.__version__.split('+')[0]}" for package in (mlflow, np, torch)
            ],
        )
    return str(info.model_uri)
