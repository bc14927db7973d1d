"""helixnas plan: what it says before a run is what the run then does."""

import json
import math
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from flows.parameters import change
from helixnas.config import RunConfig, load
from helixnas.errors import ConfigError
from helixnas.handover.parts import load_part
from helixnas.handover.teacher import load_teacher_accuracy
from helixnas.plan.planning import Plan, plan
from helixnas.plan.workload import START_S, num_nodes
from helixnas.report import print_plan
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(ROOT / "conf", folder / "conf")
    change(folder, "tiny", [])
    return folder


@pytest.fixture(scope="module")
def config(root: Path) -> RunConfig:
    return load(root)


@pytest.fixture(scope="module")
def made(config: RunConfig) -> Plan:
    return plan(config)


def test_the_cut_is_told_with_shapes_and_shares(made: Plan) -> None:
    assert [block.modules for block in made.blocks] == [("layer1",), ("layer2",), ("layer3", "layer4")]
    assert made.blocks[0].in_shape == (64, 4, 4)
    assert [block.out_shape[0] for block in made.blocks] == [8, 16, 32]
    assert all(block.madds_share > 0 for block in made.blocks)
    assert sum(block.madds_share for block in made.blocks) < 1  # stem and head take the rest
    assert made.num_architectures == math.prod(block.num_paths for block in made.blocks)


def test_a_budget_that_can_be_met_is_no_fault(made: Plan) -> None:
    assert made.fault is None
    madds = made.reach["madds"]
    assert madds.least <= (madds.limit or 0) <= madds.teacher <= madds.most
    assert made.reach["num_params"].limit is None


def test_every_stage_has_its_time_memory_and_disk(made: Plan) -> None:
    stages = ["custom", "data", "teacher", "search_space"]
    stages += [f"{name}@{block_id}" for name in ("distill", "rating") for block_id in range(3)]
    assert [workload.stage for workload in made.workloads] == [
        *stages,
        "cost",
        "search",
        "retrain",
        "compare",
        "export",
        "report",
    ]
    assert all(workload.time_s > 0 and workload.memory_bytes > 2**26 for workload in made.workloads)
    assert 1797 * 16 * 16 <= made.workloads[1].disk_bytes < 1.5 * 1797 * 16 * 16


def test_more_updates_take_more_time(config: RunConfig, made: Plan) -> None:
    longer = config.model_copy(update={"distill": config.distill.model_copy(update={"updates": 400})})
    times = {workload.stage: workload.time_s for workload in made.workloads}
    assert {w.stage: w.time_s for w in plan(longer).workloads}["distill@1"] > 2 * times["distill@1"]


def test_the_first_block_of_a_group_bears_its_groups_time(config: RunConfig, made: Plan) -> None:
    alone = config.model_copy(update={"distill": config.distill.model_copy(update={"groups": 3})})
    times, times_alone = ({w.stage: w.time_s for w in each.workloads} for each in (made, plan(alone)))
    assert times["distill@2"] == START_S < times_alone["distill@2"]
    assert times["distill@0"] > START_S


def test_comparing_takes_the_time_of_each_student_that_it_trains(config: RunConfig, made: Plan) -> None:
    def compare_s(**changed: object) -> float:
        other = config.model_copy(update={"compare": config.compare.model_copy(update=changed)})
        return {w.stage: w.time_s for w in plan(other).workloads}["compare"]

    times = {workload.stage: workload.time_s for workload in made.workloads}
    assert compare_s(enabled=False) == START_S < times["compare"]
    assert compare_s(random=20) > 5 * times["compare"]


def test_every_operation_of_the_tree_is_counted_once() -> None:
    from helixnas.blocks import BlockSpec
    from helixnas.search_space import BlockSpace, Candidate, Cell

    options = tuple(Candidate("op", (("n", n),)) for n in range(6))
    cells = (Cell((8,) * 4, (1,) * 4, (options,) * 4), Cell((8,), (1,), (options[:2],)))
    assert num_nodes(BlockSpace(BlockSpec(0, (8, 4, 4), (8, 4, 4), "NCHW", ("m",)), cells)) == 6 + 36 + 216 + 1296 + 2


@pytest.fixture
def without_workloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that measures no stage, which takes long."""
    monkeypatch.setattr("helixnas.plan.planning.workloads", lambda *_: [])


def brought(root: Path, *overrides: str) -> RunConfig:
    """The finished project's own teacher and normalisation, brought by a user."""
    train = load_part(root, "train")
    given = [f"data.mean={list(train.mean)}", f"data.std={list(train.std)}", "teacher.recipe.epochs=0"]
    weights = f"teacher.weights={root / 'artifacts/teacher/teacher.safetensors'}"
    return load(root, [*given, weights, "cost.kinds=[madds,num_params]", "search.budget.latency_ms=null", *overrides])


def test_a_teacher_that_comes_trained_is_judged_as_the_teacher_stage_will(
    finished: Path, without_workloads: None
) -> None:
    made = plan(brought(finished))
    assert made.teacher == load_teacher_accuracy(finished)
    console = Console(width=200, record=True)
    print_plan(asdict(made), console)
    assert str(made.teacher) in console.export_text()


def test_a_teacher_that_knows_nothing_is_warned_of(finished: Path, without_workloads: None) -> None:
    made = plan(brought(finished, "teacher.weights=null"))
    console = Console(width=200, record=True)
    print_plan(asdict(made), console)
    assert "no better than chance, 10 %. Check data.mean and data.std" in console.export_text()


def test_a_large_teacher_is_judged_by_fewer_images(
    finished: Path, without_workloads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helixnas.plan.planning.JUDGED_MADDS", 1)
    made = plan(brought(finished))
    assert made.teacher is not None
    assert made.teacher.num_images == 100


def test_a_teacher_that_is_trained_first_cannot_be_judged(made: Plan) -> None:
    assert made.teacher is None


def test_the_paths_dearer_than_their_block_are_told(root: Path, without_workloads: None) -> None:
    lite0 = ["teacher.source=timm:tf_efficientnet_lite0", "~teacher.model_args.channels", "data.image_size=32"]
    cut = ["teacher.blocks=[[blocks.0],[blocks.1],[blocks.2]]", "cost.kinds=[madds,num_params]"]
    made = plan(load(root, [*lite0, *cut, "search_space.drop_dearer=true"]))
    first = made.blocks[0]
    assert (first.num_paths, first.num_dearer) == (1, 2 + 2**2)  # the tiny preset's cells
    assert made.num_architectures == math.prod(block.num_paths for block in made.blocks)
    console = Console(width=100, record=True)
    print_plan(asdict(made), console)
    told = f"block 0: {first.num_dearer} of {first.num_dearer + 1} paths dearer than the block are not trained"
    assert told in console.export_text()


@pytest.mark.parametrize(
    ("limit", "fault", "is_certain"),
    [
        ("madds=10%", "Raise search.budget.madds to at least", True),
        ("latency_ms=0.001", "Raise search.budget.latency_ms to", False),
    ],
)
def test_a_budget_out_of_reach_is_a_fault_with_the_nearest(
    root: Path, limit: str, fault: str, is_certain: bool
) -> None:
    made = plan(load(root, [f"search.budget.{limit}"]))
    assert fault in (made.fault or "")
    assert made.is_certain == is_certain


def test_a_plan_is_printed_whole(made: Plan) -> None:
    console = Console(width=100, record=True)
    print_plan(asdict(made), console)
    text = console.export_text()
    assert "…" not in text
    for word in ("64x4x4", "layer3 ... layer4", "num_params", "distill@2", "architectures", "cpu"):
        assert word in text


def test_the_command_writes_json_and_exits_with_2_where_the_budget_is_out_of_reach(root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "params.yaml", tmp_path)
    change(tmp_path, None, ["search.budget.madds=10%", "cost.kinds=[madds,num_params]"])
    command = [sys.executable, "-m", "helixnas", "plan", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert json.loads(done.stdout)["fault"] == done.stderr.removeprefix("error: ").strip()
    assert "latency_ms" not in json.loads(done.stdout)["reach"]
    assert sorted(tmp_path.iterdir()) == [tmp_path / "params.yaml"]  # nothing is written


SIAMESE = (
    "distill.supervision=siamese",
    "distill.sampler=fair",
    "distill.augment.min_scale=0.5",
    "rating.criterion=population",
    "search_space.keep_teacher=false",
    "search_space.allow_skip=false",
    "search.num_trials=0",
    "retrain.distillation={labels:1,logits:0,features:0,temperature:1}",
)


def test_a_plan_names_the_member_and_what_it_reads_and_judges_no_teacher_that_is_not_read(finished: Path) -> None:
    made = plan(brought(finished, "teacher.weights=null", *SIAMESE))
    assert made.teacher is None
    assert made.member == "DNA++ (siamese), which reads images alone: no label, and nothing that a teacher learnt"
    console = Console(width=200, record=True)
    print_plan(asdict(made), console)
    assert console.export_text().startswith("DNA++ (siamese)")
    times = {workload.stage: workload.time_s for workload in made.workloads}
    assert times["distill@0"] > times["rating@0"] > 0


def test_a_plan_tells_of_a_block_that_cannot_be_self_supervised(
    finished: Path, without_workloads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunConfig, "_siamese_faults", lambda config: iter(()))
    with pytest.raises(ConfigError, match=r"siamese, so each cell of block 0 must have weights that learn"):
        plan(brought(finished, *SIAMESE, "search_space.keep_teacher=true"))
