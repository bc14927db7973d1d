"""The pipeline's graph, as DVC draws it: nothing about the order of stages is written twice."""

import json
import re
import subprocess
from pathlib import Path

from flows.processes import dvc_command, environment
from helixnas.errors import ConfigError

_NODE = re.compile(r'^"([^"]+)";$')
_EDGE = re.compile(r'^"([^"]+)" -> "([^"]+)";$')


def stage_graph(root: Path) -> dict[str, list[str]]:
    """Each stage with the stages it waits for, in an order in which every stage comes after those."""
    waits: dict[str, set[str]] = {}
    for line in _dvc(root, "dag", "--dot").splitlines():
        if node := _NODE.match(line.strip()):
            waits.setdefault(node[1], set())
        elif edge := _EDGE.match(line.strip()):
            waits.setdefault(edge[1], set())
            waits.setdefault(edge[2], set()).add(edge[1])
    return _sorted(waits)


def is_current(root: Path) -> bool:
    """Whether DVC finds nothing to do."""
    return json.loads(_dvc(root, "status", "--json")) == {}


def _sorted(waits: dict[str, set[str]]) -> dict[str, list[str]]:
    ordered: dict[str, list[str]] = {}
    left = dict(sorted(waits.items()))
    while left:
        ready = [stage for stage, deps in left.items() if deps <= ordered.keys()]
        ordered |= {stage: sorted(left.pop(stage)) for stage in ready}
    return ordered


def _dvc(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*dvc_command(), *arguments], cwd=root, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = " ".join(done.stderr.split())
        raise ConfigError(f"dvc.yaml must be readable by `dvc {arguments[0]}`, but: {reason}")
    return done.stdout
