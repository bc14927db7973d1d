import math
import subprocess
from pathlib import Path

import pytest
from mlflow.entities import Run

from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.errors import ArtifactError
from helixnas.tracking import Store, begin, end
from tests.tracking.conftest import figures

OUTCOMES = {"teacher": "cached", "distill@0": "ran", "distill@1": "skipped", "report": "ran"}


def record(store: Store, project: Path, config: RunConfig, latency_ms: float | None = 1.5) -> Run:
    run_id = begin(store, project, config)
    end(store, run_id, project, OUTCOMES, figures(latency_ms=latency_ms), is_ok=True)
    return store.client.get_run(run_id)


def children(store: Store, parent_id: str) -> dict[str, Run]:
    found = store.client.search_runs([store.experiment_id], f"tags.mlflow.parentRunId = '{parent_id}'")
    return {run.info.run_name: run for run in found}


def test_the_parent_holds_parameters_figures_and_identity(store: Store, project: Path, config: RunConfig) -> None:
    run = record(store, project, config)
    assert run.info.status == "FINISHED"
    assert run.data.params["teacher.recipe.lr"] == str(config.teacher.recipe.lr)
    assert run.data.params["teacher.blocks"].startswith('[["layer1"]')
    assert run.data.metrics["student/top1_acc"] == 0.9
    assert run.data.metrics["teacher/latency_ms"] == 1.5
    assert run.data.tags["arch_id"] == "0:0"
    assert (run.data.tags["split"], run.data.tags["top1_acc_is"]) == ("feed", "top-1 accuracy")
    assert run.data.tags["dvc_md5"] == "2" * 32 + ".dir"


def test_an_unmeasured_latency_is_left_out(store: Store, project: Path, config: RunConfig) -> None:
    metrics = record(store, project, config, latency_ms=None).data.metrics
    assert "student/latency_ms" not in metrics
    assert metrics["student/madds"] == 100


def test_the_dataset_bears_dvcs_digest(store: Store, project: Path, config: RunConfig) -> None:
    (item,) = record(store, project, config).inputs.dataset_inputs
    assert (item.dataset.name, item.dataset.digest) == ("train", "1" * 32)
    assert {tag.key: tag.value for tag in item.tags} == {"mlflow.data.context": "train"}


def test_the_files_that_make_a_run_repeatable_are_kept(store: Store, project: Path, config: RunConfig) -> None:
    run = record(store, project, config)
    names = {file.path for file in store.client.list_artifacts(run.info.run_id)}
    assert names == {"params.yaml", "dvc.yaml", "dvc.lock", "report.html"}


def test_each_stage_is_a_child_with_its_outcome(store: Store, project: Path, config: RunConfig) -> None:
    found = children(store, record(store, project, config).info.run_id)
    assert {name: run.data.tags["outcome"] for name, run in found.items()} == OUTCOMES
    assert (found["distill@1"].data.tags["stage"], found["distill@1"].data.tags["block_id"]) == ("distill", "1")
    assert "block_id" not in found["teacher"].data.tags


def test_a_cached_stage_has_its_whole_curve_too(store: Store, project: Path, config: RunConfig) -> None:
    found = children(store, record(store, project, config).info.run_id)
    history = store.client.get_metric_history(found["distill@1"].info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(step, step / 2) for step in range(2500)]
    assert found["distill@0"].data.metrics == {}


def test_nan_and_infinity_in_a_curve_pass(store: Store, project: Path, config: RunConfig) -> None:
    teacher = children(store, record(store, project, config).info.run_id)["teacher"]
    history = store.client.get_metric_history(teacher.info.run_id, "loss")
    values = {point.step: point.value for point in history}
    assert values[0] == 2.5
    assert math.isnan(values[1])
    assert values[2] > 1e308  # how MLflow writes infinity
    assert teacher.data.metrics["val_acc"] == 0.5


def test_a_damaged_curve_is_told(store: Store, project: Path, config: RunConfig) -> None:
    path = project / folder("teacher") / "curve.csv"
    path.write_text(path.read_text().replace("2.5", "2.6"))
    with pytest.raises(ArtifactError, match=r"teacher/curve\.csv was changed after it was written"):
        record(store, project, config)
    path.unlink()
    with pytest.raises(ArtifactError, match=r"teacher/curve\.csv must exist"):
        record(store, project, config)


def test_a_pipeline_that_broke_off_is_seen_as_failed(store: Store, root: Path, config: RunConfig) -> None:
    run_id = begin(store, root, config)
    assert store.client.get_run(run_id).info.status == "RUNNING"
    end(store, run_id, root, {"data": "ran", "teacher": "failed"}, None, is_ok=False)
    assert store.client.get_run(run_id).info.status == "FAILED"
    statuses = {name: run.info.status for name, run in children(store, run_id).items()}
    assert statuses == {"data": "FINISHED", "teacher": "FAILED"}


def test_a_run_whose_process_was_killed_is_closed_by_the_next(store: Store, root: Path, config: RunConfig) -> None:
    abandoned, at_work = begin(store, root, config), begin(store, root, config)
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    store.client.set_tag(abandoned, "process_id", str(gone.pid))
    begin(store, root, config)
    statuses = [store.client.get_run(run_id).info.status for run_id in (abandoned, at_work)]
    assert statuses == ["KILLED", "RUNNING"]


def test_a_run_whose_process_number_came_again_is_closed_with_its_stages(
    store: Store, root: Path, config: RunConfig
) -> None:
    abandoned = begin(store, root, config)
    store.client.set_tag(abandoned, "process_born", "0")
    parent = {"mlflow.parentRunId": abandoned}
    stage = store.client.create_run(store.experiment_id, run_name="teacher", tags=parent).info.run_id
    begin(store, root, config)
    assert [store.client.get_run(run_id).info.status for run_id in (abandoned, stage)] == ["KILLED", "KILLED"]


@pytest.mark.parametrize("process", ["", "mine"])
def test_a_run_that_does_not_say_who_works_on_it_is_left_alone(
    store: Store, root: Path, config: RunConfig, process: str
) -> None:
    other = begin(store, root, config)
    store.client.set_tag(other, "process_id", process)
    begin(store, root, config)
    assert store.client.get_run(other).info.status == "RUNNING"


def test_a_run_of_another_machine_is_left_alone(store: Store, root: Path, config: RunConfig) -> None:
    elsewhere = begin(store, root, config)
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    store.client.set_tag(elsewhere, "process_id", str(gone.pid))
    store.client.set_tag(elsewhere, "host", "elsewhere")
    begin(store, root, config)
    assert store.client.get_run(elsewhere).info.status == "RUNNING"
