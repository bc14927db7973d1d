"""The whole run: bring every stage of dvc.yaml up to date, then record it in MLflow and register the student.

``python -m flows.search`` is ``make run``. A deployment of ``prefect.yaml`` calls the flow on a schedule.
"""

from collections.abc import Mapping
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.task_runners import ThreadPoolTaskRunner

from flows.graph import stage_graph
from flows.parameters import override
from flows.processes import Processes, stopping_on_signals
from flows.run_stage import StageFailed, run_stage
from flows.watch import Watcher
from helixnas.config import RunConfig, load
from helixnas.stages import publish as publishing
from helixnas.stages.publish import Published


@flow(name="search", persist_result=False)
def search(overrides: list[str] | None = None) -> None:
    """Run the pipeline. ``overrides`` such as ``search.budget.madds=20%`` are written into params.yaml first."""
    run_pipeline(Path.cwd(), overrides or [])


def run_pipeline(root: Path, overrides: list[str]) -> Published:
    """The flow's body: stages in parallel where the graph lets them, then MLflow.

    Raises StageFailed with the message of the first stage that failed; the blocks beside it have ended well.
    """
    if overrides:
        override(root, overrides)
    config = load(root)
    run_id = publishing.begin(root, config)
    processes = Processes()
    outcomes: dict[str, str] = {}
    try:
        graph = stage_graph(root)
        with stopping_on_signals(processes), Watcher(root, list(graph)) as watcher:
            outcomes |= _run_stages(root, config, graph, processes, watcher)
        return publish(root, config, outcomes, run_id)
    except BaseException:
        publishing.fail(root, config, outcomes, run_id)
        raise


def _run_stages(
    root: Path, config: RunConfig, graph: Mapping[str, list[str]], processes: Processes, watcher: Watcher
) -> dict[str, str]:
    runner = run_stage.with_options(
        on_running=[watcher.on_running], on_completion=[watcher.on_end], on_failure=[watcher.on_end]
    )
    futures: dict[str, PrefectFuture[str]] = {}
    with ThreadPoolTaskRunner(max_workers=config.flow.num_workers) as pool:
        for stage, waits_for in graph.items():
            futures[stage] = pool.submit(
                runner,
                {"stage": stage, "root": root, "processes": processes},
                wait_for=[futures[name] for name in waits_for],
            )
        return _collect(futures)


def _collect(futures: Mapping[str, PrefectFuture[str]]) -> dict[str, str]:
    """Wait for every stage; the outcomes, or the failure of the first in the graph's order that failed itself."""
    for future in futures.values():
        future.wait()
    failed = [stage for stage, future in futures.items() if future.state.is_failed() or future.state.is_crashed()]
    if failed:
        futures[failed[0]].result()
    return {stage: future.result() for stage, future in futures.items()}


@task(cache_policy=NO_CACHE)
def publish(root: Path, config: RunConfig, outcomes: Mapping[str, str], run_id: str) -> Published:
    """Record the pipeline in MLflow and register the student. A task, not a DVC stage, which a cache hit would skip."""
    get_run_logger().info("Recording the run in MLflow")
    return publishing.publish(root, config, outcomes, run_id)
