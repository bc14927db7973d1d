"""The pipeline as DVC knows it: nothing about the order of stages, or about what is current, is written twice."""

import json
import re
import subprocess
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

from flows.processes import dvc_command, environment
from helixnas.errors import ConfigError, EnvironmentFault

Graph = dict[str, list[str]]
"""Each stage (``distill@2``) with the stages it waits for, in an order in which every stage comes after those."""

_NODE = re.compile(r'"([^"]+)";')
_EDGE = re.compile(r'"([^"]+)" -> "([^"]+)";')


def read_graph(root: Path) -> Graph:
    """The graph of dvc.yaml, those stages first that wait for the fewest others in a row."""
    waits: dict[str, set[str]] = {}
    for line in map(str.strip, _dvc(root, "dag", "--dot").splitlines()):
        if node := _NODE.fullmatch(line):
            waits.setdefault(node[1], set())
        elif edge := _EDGE.fullmatch(line):
            waits.setdefault(edge[2], set()).add(edge[1])
    ordered = TopologicalSorter({stage: sorted(before) for stage, before in sorted(waits.items())}).static_order()
    return {stage: sorted(waits[stage]) for stage in ordered}


def read_changed(root: Path) -> set[str]:
    """The stages whose inputs or outputs differ from what dvc.lock records; none if DVC has nothing to do."""
    return set(json.loads(_dvc(root, "status", "--json")))


def is_lock_message(text: str) -> bool:
    """Whether DVC says so that another DVC process is in the way."""
    return "Unable to acquire lock" in text or "is busy, it is being blocked by" in text


def downstream(graph: Graph, stages: Iterable[str]) -> set[str]:
    """``stages`` and all that wait for them."""
    reached = set(stages)
    for stage, before in graph.items():
        if reached.intersection(before):
            reached.add(stage)
    return reached


def _dvc(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        dvc_command(*arguments), cwd=root, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = " ".join(done.stderr.split())
        if is_lock_message(reason):
            raise EnvironmentFault(f"DVC must be free, but another DVC process is at work here: {reason}")
        raise ConfigError(f"`dvc {' '.join(arguments)}` must succeed, but: {reason} Mend dvc.yaml or params.yaml.")
    return done.stdout
