import io
import json
from pathlib import Path

from rich.console import Console

from flows.graph import Graph
from flows.watch import Watch, duration
from helixnas.plan.durations import CURRENT_S, DURATIONS, UNPLANNED_S, expected_s, remember, remember_plan, time_left_s
from tests.waiting import until

GRAPH: Graph = {"data": [], "distill@0": ["data"], "distill@1": ["data"], "distill@2": ["data"], "search": []}
GRAPH["search"] = ["distill@0", "distill@1", "distill@2"]


def watch(root: Path, console: Console | None = None) -> Watch:
    times = dict.fromkeys(GRAPH, 10.0)
    return Watch(root, GRAPH, times, num_workers=2, console=console or Console(file=io.StringIO()))


def test_two_workers_take_three_blocks_in_two_rounds() -> None:
    assert time_left_s(GRAPH, dict.fromkeys(GRAPH, 10.0), num_workers=2) == 40.0
    assert time_left_s(GRAPH, dict.fromkeys(GRAPH, 10.0), num_workers=3) == 30.0
    assert time_left_s(GRAPH, {"distill@2": 4.0, "search": 10.0}, num_workers=2) == 14.0
    assert time_left_s(GRAPH, {}, num_workers=2) == 0.0


def test_the_first_run_is_told_from_defaults_and_the_next_from_the_last(tmp_path: Path) -> None:
    assert expected_s(tmp_path, ["distill@1", "search"], {"distill@1"}) == {
        "distill@1": UNPLANNED_S,
        "search": CURRENT_S,
    }
    remember(tmp_path, {"distill@1": 3.0})
    remember(tmp_path, {"search": 2.0})
    assert expected_s(tmp_path, ["distill@1"], {"distill@1"}) == {"distill@1": 3.0}
    for spoilt in ("not json", '{"data": 3.0}', '{"data": ["x"]}'):
        (tmp_path / DURATIONS).write_text(spoilt)
        assert expected_s(tmp_path, ["data"], {"data"}) == {"data": UNPLANNED_S}


def test_a_plan_corrects_the_last_time_by_what_it_grew_itself(tmp_path: Path) -> None:
    def expected(step: str) -> float:
        return expected_s(tmp_path, [step], {step})[step]

    remember(tmp_path, {"cost": 5.0})
    remember_plan(tmp_path, {"distill@0": 10.0, "cost": 99.0})
    assert (expected("distill@0"), expected("cost")) == (10.0, 5.0), (
        "a plan is all there is; nothing to compare it with"
    )
    remember(tmp_path, {"distill@0": 15.0})
    assert expected("distill@0") == 15.0, "the last time counts, where nothing is planned otherwise"
    remember_plan(tmp_path, {"distill@0": 40.0})
    assert expected("distill@0") == 60.0, "four times the epochs"


def test_the_line_tells_steps_done_and_what_runs_with_its_time_left(tmp_path: Path) -> None:
    running = watch(tmp_path)
    assert running.line() == "0 of 5 steps done, about 40 s left | between stages"
    running.started("data")
    running.ended("data", "skipped")
    running.started("distill@0")
    state = {"stage": "distill@0", "done": 3, "total": 12, "elapsed_s": 2.0, "left_s": 6.0}
    (tmp_path / ".cache/progress").mkdir(parents=True)
    (tmp_path / ".cache/progress/distill@0.json").write_text(json.dumps(state))
    assert running.line() == "1 of 5 steps done, about 26 s left | distill@0 3/12, 6 s left"


def test_only_what_ran_is_remembered(tmp_path: Path) -> None:
    with watch(tmp_path) as running:
        for step, outcome in (("data", "skipped"), ("distill@0", "ran"), ("distill@1", "failed")):
            running.started(step)
            running.ended(step, outcome)
    assert list(json.loads((tmp_path / DURATIONS).read_text())) == ["distill@0"]


def test_a_terminal_shows_a_bar_for_what_runs_and_a_line_for_what_ran(tmp_path: Path) -> None:

    terminal = Console(file=io.StringIO(), force_terminal=True, width=120, highlight=False)
    with watch(tmp_path, terminal) as running:
        running.started("data")
        until(lambda: "0 of 5 steps done" in terminal.file.getvalue())  # type: ignore[attr-defined]
        running.ended("data", "ran")
        until(lambda: "data         ran, " in terminal.file.getvalue())  # type: ignore[attr-defined]
    assert "the run" in terminal.file.getvalue()  # type: ignore[attr-defined]


def test_durations_are_told_for_people() -> None:
    assert [duration(seconds) for seconds in (0.2, 59.4, 60, 125)] == ["0 s", "59 s", "1 min 00 s", "2 min 05 s"]
