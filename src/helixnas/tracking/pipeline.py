"""One MLflow run for each pipeline and a child for each stage, written from files.

DVC may have made any stage's files long ago; a stage that was cached is recorded as completely as one that ran.
"""

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from helixnas.artifacts import folder, load_csv
from helixnas.config import RunConfig
from helixnas.results import Figures
from helixnas.tracking.lineage import dvc_md5, read_commit
from helixnas.tracking.store import Store, room

MAX_METRICS = 1000
"""MLflow's limit for one batch; a batch is a hundred times faster than its points one by one."""
MAX_PARAMS = 100
FILES = (Path("params.yaml"), Path("dvc.yaml"), Path("dvc.lock"), folder("report") / "report.html")
TRAIN = folder("data") / "train"
STUDENT = folder("retrain") / "student.safetensors"
CURVED = ("teacher", "distill", "retrain")
"""The stages that leave a curve."""
HOST, PROCESS, BORN = "host", "process_id", "process_born"
"""Tags that tell who works on a run: process numbers come again, but not with the same time of birth."""
PARENT = "mlflow.parentRunId"


@room()
def begin(store: Store, root: Path, config: RunConfig) -> str:
    """Open the pipeline's run, with its parameters and git's commit, and return its id. ``end`` closes it."""
    _close_abandoned(store)
    commit = read_commit(root)
    tags = {"mlflow.source.git.commit": commit.sha, "git_dirty": str(commit.is_dirty).lower()}
    tags |= {HOST: platform.node(), PROCESS: str(os.getpid()), BORN: _born(os.getpid())}
    run_id = str(store.client.create_run(store.experiment_id, run_name="pipeline", tags=tags).info.run_id)
    params = _flat(config.model_dump(mode="json"))
    for chunk in _chunks((Param(key, value) for key, value in params), MAX_PARAMS):
        store.client.log_batch(run_id, params=chunk)
    return run_id


def _close_abandoned(store: Store) -> None:
    """Mark as KILLED what a process of this machine opened that was killed outright, and could not say so itself."""
    query = f"attributes.status = 'RUNNING' AND tags.{HOST} = '{platform.node()}'"
    for run in store.client.search_runs([store.experiment_id], query):
        if not _is_at_work(run.data.tags):
            children = f"attributes.status = 'RUNNING' AND tags.{PARENT} = '{run.info.run_id}'"
            for each in (*store.client.search_runs([store.experiment_id], children), run):
                store.client.set_terminated(each.info.run_id, "KILLED")


def _is_at_work(tags: Mapping[str, str]) -> bool:
    """Whether the process that opened a run lives on; of a run that does not say, it is believed."""
    process, born = tags.get(PROCESS, ""), tags.get(BORN)
    if not process.isdecimal():
        return True
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    return born is None or born == _born(int(process))


def _born(process: int) -> str:
    """When a process began, in the system's own count; nothing where the system does not tell."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


@room()
def end(
    store: Store, run_id: str, root: Path, outcomes: Mapping[str, str], figures: Figures | None, *, is_ok: bool
) -> None:
    """Write what came of the pipeline, and close its run as FINISHED or FAILED.

    ``outcomes`` tells of each of DVC's stages (``distill@2``) whether it "ran", was "cached", "skipped" or "failed".
    ``figures`` is None where the pipeline did not get that far; the stages that did are recorded all the same.
    """
    for stage, outcome in outcomes.items():
        _record_stage(store, run_id, root, stage, outcome)
    if figures is not None:
        _record_result(store, run_id, root, figures)
    for path in FILES:
        if (root / path).is_file():
            store.client.log_artifact(run_id, str(root / path))
    store.client.set_terminated(run_id, "FINISHED" if is_ok else "FAILED")


def _record_result(store: Store, run_id: str, root: Path, figures: Figures) -> None:
    now_ms = int(time.time() * 1000)
    rows = {"teacher": figures.teacher, "student_before": figures.student_before, "student": figures.student}
    values = {
        f"{row}/{name}": value
        for row, figure in rows.items()
        for name, value in {"top1_acc": figure.top1_acc, **figure.cost}.items()
    }
    metrics = [Metric(key, value, now_ms, 0) for key, value in values.items()]
    tags = [RunTag("arch_id", figures.arch_id), RunTag("dvc_md5", dvc_md5(root, STUDENT))]
    tags += [RunTag("split", figures.split), RunTag("top1_acc_is", figures.acc_name)]
    store.client.log_batch(run_id, metrics=metrics, tags=tags)
    source = json.dumps({"uri": TRAIN.as_posix()})
    dataset = Dataset(name=TRAIN.name, digest=dvc_md5(root, TRAIN), source_type="local", source=source)
    store.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])])


def _record_stage(store: Store, parent_id: str, root: Path, stage: str, outcome: str) -> None:
    name, _, block_id = stage.partition("@")
    tags = {PARENT: parent_id, "stage": name, "outcome": outcome}
    if block_id:
        tags["block_id"] = block_id
    run_id = store.client.create_run(store.experiment_id, run_name=stage, tags=tags).info.run_id
    out = root / folder(name, int(block_id) if block_id else None)
    if name in CURVED and outcome != "failed":
        for chunk in _chunks(_points(out / "curve.csv"), MAX_METRICS):
            store.client.log_batch(run_id, metrics=chunk)
    store.client.set_terminated(run_id, "FAILED" if outcome == "failed" else "FINISHED")


def _points(curve: Path) -> Iterator[Metric]:
    """A curve's points, dated when its file was written. NaN and infinity pass: MLflow has a place for them."""
    table = load_csv(curve, "curve")
    written_ms = int(curve.stat().st_mtime * 1000)
    for step, name, value in zip(table["step"], table["name"], table["value"], strict=True):
        yield Metric(name, float(value), written_ms, int(step))


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested sections as dotted keys, ``teacher.recipe.lr``; lists as JSON."""
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, list) else str(value)


def _chunks(items: Iterator[Any], size: int) -> Iterator[Sequence[Any]]:
    while chunk := list(islice(items, size)):
        yield chunk
