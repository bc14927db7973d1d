"""The pipeline as DVC knows it: nothing about the order of stages, or about what is current, is written twice."""

from collections.abc import Iterable, Iterator
from contextlib import chdir, contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from helixnas.errors import ConfigError, EnvironmentFault

TIMED = {"cost", "export", "report"}
"""The stages that measure latency where another could run beside them."""
Graph = dict[str, list[str]]
"""Each stage (``distill@2``) with the stages it waits for, in an order in which every stage comes after those."""


def read_graph(root: Path) -> Graph:
    """The graph of dvc.yaml, those stages first that wait for the fewest others in a row.

    Raises:
        ConfigError: DVC cannot read the pipeline.
    """
    with _repository(root) as repository:
        graph = repository.index.graph
        waits = {stage.addressing: sorted(other.addressing for other in graph.successors(stage)) for stage in graph}
    return {stage: waits[stage] for stage in TopologicalSorter(dict(sorted(waits.items()))).static_order()}


def read_changed(root: Path) -> set[str]:
    """The stages whose inputs or outputs differ from what dvc.lock records; none if DVC has nothing to do.

    Raises:
        ConfigError: DVC cannot read the pipeline.
        EnvironmentFault: Another DVC process is at work here.
    """
    with _repository(root) as repository:
        return set(repository.status())


def downstream(graph: Graph, stages: Iterable[str]) -> set[str]:
    """``stages`` and all that wait for them."""
    reached = set(stages)
    for stage, before in graph.items():
        if reached.intersection(before):
            reached.add(stage)
    return reached


def timed_alone(graph: Graph) -> Graph:
    """The same stages with more waiting, so that nothing runs beside a stage that reads a clock.

    A network of 5 MB takes nearly twice as long beside a training, while a path of some kB takes what it takes alone.
    """
    waits: Graph = {}
    timed: list[str] = []
    for stage, before in graph.items():
        more = list(waits) if stage in TIMED else timed[-1:]
        waits[stage] = list(dict.fromkeys([*before, *more]))
        timed += [stage] if stage in TIMED else []
    return waits


@contextmanager
def _repository(root: Path) -> Iterator[Any]:
    """DVC's view of ``root``. Whatever DVC finds wrong in the body becomes an error of ours, in DVC's words."""
    from dvc.lock import LockError
    from dvc.repo import Repo

    try:
        with chdir(root), Repo() as repository:  # DVC names stages as seen from the working folder
            yield repository
    except LockError as error:
        raise EnvironmentFault(f"DVC must be free, but another DVC process is at work here: {_words(error)}") from error
    except Exception as error:  # DVC's own, and those of the libraries that it reads with
        raise ConfigError(
            f"DVC must be able to read the pipeline, but: {_words(error)}. Mend dvc.yaml or params.yaml."
        ) from error


def _words(error: Exception) -> str:
    """The text of an error in one line, with that of its cause, which says where in dvc.yaml a fault lies."""
    cause = error.__cause__
    causes = getattr(cause, "errors", [cause] if cause else [])  # voluptuous gathers several faults in one error
    return " ".join("; ".join(map(str, [error, *causes])).split()).rstrip(".")
