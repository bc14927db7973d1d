"""The whole run: bring every stage of dvc.yaml up to date, then record it in MLflow and register the student.

A deployment of ``prefect.yaml`` calls the flow on a schedule; ``python -m flows`` calls it for people at a terminal.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_URL
from prefect.states import Failed
from prefect.task_runners import ThreadPoolTaskRunner
from rich.console import Console

from flows.graph import Graph, downstream, read_changed, read_graph, timed_alone
from flows.parameters import change
from flows.processes import Processes
from flows.pulse import pulse
from flows.run_stage import BROKEN, FAULT, run_stage
from flows.watch import Watch
from helixnas import forkserver
from helixnas.config import RunConfig, load
from helixnas.errors import HelixError
from helixnas.plan.durations import expected_s
from helixnas.registry import publish as publishing
from helixnas.registry.publish import Published

PUBLISH = "publish"

Future = PrefectFuture[Any]


class StagesError(Exception):
    """Some stages failed; ``name`` is the state's, FAULT if the user can mend all of them, else BROKEN."""

    def __init__(self, states: list[State[Any]]) -> None:
        super().__init__("\n".join(dict.fromkeys(str(state.message) for state in states)))
        self.name = FAULT if all(state.name == FAULT for state in states) else BROKEN


@flow(name="search", persist_result=False)
def search(
    overrides: list[str] | None = None, preset: str | None = None, register_student: bool = True
) -> Published | State[Any] | None:
    """Run the pipeline. A ``preset`` of conf/preset, then ``overrides``, are written into params.yaml first.

    Returns what was published, None without ``register_student``; a failed state named "Fault" says what to mend.
    Where Prefect's server dies meanwhile, the process ends.
    """
    try:
        with pulse(PREFECT_API_URL.value()):
            change(Path.cwd(), preset, overrides or [])
            return run_pipeline(Path.cwd(), register=register_student)
    except HelixError as error:
        return Failed(name=FAULT, message=str(error))
    except StagesError as error:
        return Failed(name=error.name, message=str(error))


def run_pipeline(root: Path, *, register: bool) -> Published | None:
    """The flow's body: stages in parallel where the graph lets them, MLflow beside and after them.

    Raises StagesError when every stage has ended that could; the blocks beside a failed one have ended well.
    """
    config = load(root)
    graph = read_graph(root)
    stale = downstream(graph, read_changed(root))
    graph = timed_alone(graph)
    if register:
        graph[PUBLISH] = list(graph)
        stale.add(PUBLISH)
    num_workers = config.flow.num_workers
    watch = Watch(root, graph, expected_s(root, graph, stale), num_workers, Console(stderr=True, highlight=False))
    with watch, ThreadPoolTaskRunner[Any](max_workers=num_workers) as pool:
        opened = pool.submit(open_run, {"root": root, "config": config}) if register else None
        outcomes: dict[str, str] = {}
        try:
            # ended before the pool's threads are waited for, which read from them
            with Processes() as processes:
                if stale - {PUBLISH}:
                    processes.settings |= forkserver.launch(processes.start, processes.folder(), root)
                _run_stages(pool, graph, root, processes, watch, outcomes)
        except BaseException:
            if opened is not None:
                opened.wait()
                if opened.state.is_completed():
                    publishing.fail(root, config, outcomes, opened.result())
            raise
        if opened is None:
            return None
        results = {"root": root, "config": config, "outcomes": outcomes, "run_id": _value(opened)}
        watch.started(PUBLISH)
        published: Published = _value(pool.submit(publish, results))
        watch.ended(PUBLISH, "ran")
        return published


def _run_stages(
    pool: ThreadPoolTaskRunner[Any],
    graph: Graph,
    root: Path,
    processes: Processes,
    watch: Watch,
    outcomes: dict[str, str],
) -> None:
    """Run every stage after those before it, its outcome into ``outcomes``; StagesError at the end if any failed."""
    futures: dict[str, Future] = {}
    for stage, before in graph.items():
        if stage != PUBLISH:
            parameters = {"stage": stage, "root": root, "processes": processes, "watch": watch}
            futures[stage] = pool.submit(run_stage, parameters, wait_for=[futures[name] for name in before])
    failed = []
    for stage, future in futures.items():
        future.wait()
        if future.state.is_completed():
            outcomes[stage] = future.result()
        elif future.state.is_failed() or future.state.is_crashed():  # else it never started: one before it failed
            outcomes[stage] = "failed"
            failed.append(future.state)
    if failed:
        raise StagesError(failed)


def _value(future: Future) -> Any:
    future.wait()
    if future.state.name == FAULT:
        raise StagesError([future.state])
    return future.result()


@task(cache_policy=NO_CACHE, task_run_name="open-run")
def open_run(root: Path, config: RunConfig) -> str | State[Any]:
    """Open the pipeline's run in MLflow, beside the first stages; its id."""
    try:
        return publishing.begin(root, config)
    except HelixError as error:
        return Failed(name=FAULT, message=str(error))


@task(cache_policy=NO_CACHE, task_run_name=PUBLISH)
def publish(root: Path, config: RunConfig, outcomes: Mapping[str, str], run_id: str) -> Published | State[Any]:
    """Record the pipeline in MLflow and register the student. A task, not a DVC stage, which a cache hit would skip."""
    try:
        published = publishing.publish(root, config, outcomes, run_id)
    except HelixError as error:
        return Failed(name=FAULT, message=str(error))
    get_run_logger().info("%s version %s", published.version.name, published.version.version)
    return published
