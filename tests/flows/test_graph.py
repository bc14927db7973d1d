from pathlib import Path

import pytest
from zc.lockfile import LockFile

from flows.graph import downstream, read_changed, read_graph, timed_alone
from helixnas.errors import ConfigError, EnvironmentFault
from tests.flows.conftest import STAGES

pytestmark = [pytest.mark.flow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]  # of what DVC uses


def test_the_graph_has_every_stage_after_those_it_waits_for(project: Path) -> None:
    graph = read_graph(project)
    assert list(graph) == STAGES
    assert graph["data"] == []
    assert graph["distill@1"] == ["data"]
    assert graph["search"] == ["distill@0", "distill@1", "distill@2"]


def test_before_the_first_run_every_stage_has_changed(project: Path) -> None:
    assert read_changed(project) == set(STAGES)


def test_what_lies_downstream_of_a_block_is_the_block_and_the_search() -> None:
    graph = {"data": [], "distill@0": ["data"], "distill@1": ["data"], "search": ["distill@0", "distill@1"]}
    assert downstream(graph, {"distill@1"}) == {"distill@1", "search"}


def test_a_pipeline_that_dvc_cannot_read_is_told_in_dvc_s_words(project: Path) -> None:
    (project / "dvc.yaml").write_text("stages: {data: {cmd: true, dept: [x]}}")
    with pytest.raises(ConfigError, match="extra keys not allowed"):
        read_graph(project)


def test_another_dvc_at_work_is_no_fault_of_dvc_yaml(project: Path) -> None:
    lock = LockFile(str(project / ".dvc/tmp/lock"))
    with pytest.raises(EnvironmentFault, match="another DVC process is at work here"):
        read_changed(project)
    lock.close()


def test_nothing_runs_beside_a_stage_that_reads_a_clock() -> None:
    graph = {"data": [], "cost": ["data"], "distill": ["data"], "retrain": ["distill"], "compare": ["distill"]}
    graph |= {"export": ["retrain"], "report": ["cost", "retrain", "compare"]}
    assert timed_alone(graph) == {
        "data": [],
        "cost": ["data"],
        "distill": ["data", "cost"],
        "retrain": ["distill", "cost"],
        "compare": ["distill", "cost"],
        "export": ["retrain", "data", "cost", "distill", "compare"],
        "report": ["cost", "retrain", "compare", "data", "distill", "export"],
    }
