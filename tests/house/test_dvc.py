"""dvc.yaml says of each stage all that its result depends on, and nothing else."""

import ast
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from flows.parameters import change
from helixnas import source
from helixnas.config import load
from helixnas.source import PACKAGE, tree
from tests.conftest import ROOT
from tests.house.imports import python_files
from tests.house.recording import leaves, recorded
from tests.project import Stage, dvc_yaml, new_project, stages

STAGES = list(dvc_yaml()["stages"])


MORE = {"search": ["search.measured=2", "search.trained=2", "search.rungs=[1,2]"]}
"""What a stage may do beyond what it does in the tests' smallest project."""


class Run(NamedTuple):
    """What a stage did in a folder that held its deps alone."""

    stage: Stage
    keys: set[str]
    written: set[str]
    changed: set[str]


def covers(whole: str, part: str, joint: str) -> bool:
    return part == whole or part.startswith(whole + joint)


def contents(root: Path) -> dict[str, bytes]:
    files = [path for path in (root / "artifacts").rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def run(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """A stage of the first block, run once, in a project where of all artifacts only its deps lie."""

    @cache
    def once(name: str) -> Run:
        root = tmp_path_factory.mktemp(name)
        new_project(root)
        change(root, None, MORE.get(name, []))
        config = load(root)
        stage = next(stage for stage in stages(len(config.teacher.blocks)) if stage.name == name)
        for path in stage.deps:
            if path.startswith("artifacts/"):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (finished / path).is_dir() else shutil.copy
                copy(finished / path, root / path)
        before = contents(root)
        with recorded(config) as keys:
            stage.run(root, config)
        after = contents(root)
        changed = {path for path in before if after.get(path) != before[path]}
        return Run(stage, keys, set(after) - set(before), changed)

    return once


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_names_the_code_that_it_imports_and_no_other(name: str) -> None:
    named = [path for path in dvc_yaml()["stages"][name]["deps"] if path.startswith("src/")]
    assert named == source.dependencies(name), "Run `make dependencies`."


def test_writing_the_dependencies_changes_nothing_else(tmp_path: Path) -> None:
    text = (ROOT / "dvc.yaml").read_text()
    (tmp_path / "dvc.yaml").write_text(text.replace("      - src/helixnas/blocks.py\n", "", 1))
    source.write(tmp_path)
    assert (tmp_path / "dvc.yaml").read_text() == text


def test_code_that_counts_for_no_stage_is_there_and_has_a_reason() -> None:
    for name, reason in source.HARMLESS.items():
        assert (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file(), name
        assert reason


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_needs_no_artifact_but_its_deps_and_writes_its_outs_alone(run: Callable[[str], Run], name: str) -> None:
    done = run(name)
    assert not done.changed
    assert all(any(covers(out, path, "/") for out in done.stage.outs) for path in done.written), done.written
    assert all(any(covers(out, path, "/") for path in done.written) for out in done.stage.outs), done.written


UNUSED = {
    "data": {"device", "seed", "num_loaders"},
    "cost": {"seed"},
    "export": {"device", "seed"},
    "teacher": {"num_loaders"},
    "distill": {"num_loaders", "teacher.features", "teacher.cache_gb", "distill.groups"},
    "search": {"num_loaders", "teacher.features", "teacher.cache_gb", "rating.memory_mib"},
    "retrain": {"num_loaders", "teacher.features", "teacher.cache_gb"},
    "compare": {"num_loaders", "teacher.features", "teacher.cache_gb"},
    "report": {"num_loaders"},
}
"""What `begin` reads for every stage, but these make nothing of; and what changes a stage's speed alone."""

ELSEWHERE = {"teacher": {"teacher.block_ids"}, "distill": {"distill.siamese"}}
"""What a stage reads of other networks or settings than the tests'.

The number of blocks, where they are not listed; what another supervision alone reads.
"""


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_names_the_params_that_it_reads_and_no_other(run: Callable[[str], Run], name: str) -> None:
    params, keys = run(name).stage.params, (run(name).keys | ELSEWHERE.get(name, set())) - UNUSED.get(name, set())
    assert sorted(key for key in keys if not any(covers(param, key, ".") for param in params)) == []
    assert [param for param in params if not any(covers(param, key, ".") for key in keys)] == []


OUTSIDE_STAGES = {
    "search_space.attention": "src/helixnas/search_space/spaces/substitute.py",
    "search_space.mlp_ratios": "src/helixnas/search_space/spaces/substitute.py",
    "teacher.block_ids": "dvc.yaml",
    "distill.groups": "src/helixnas/stages/distill.py",
    "distill.siamese.inputs": "src/helixnas/config/schema.py",
    "distill.siamese.pairs": "src/helixnas/distill/siamese.py",
    "distill.siamese.hidden_width": "src/helixnas/distill/siamese.py",
    "distill.siamese.embedding_width": "src/helixnas/distill/siamese.py",
    "distill.siamese.momentum": "src/helixnas/distill/siamese.py",
    "distill.siamese.variance_weight": "src/helixnas/distill/siamese.py",
    "distill.siamese.covariance_weight": "src/helixnas/distill/siamese.py",
    "rating.tail_share": "src/helixnas/rating/output.py",
    "tracking.experiment": "src/helixnas/registry/publish.py",
    "tracking.model_name": "src/helixnas/registry/promote.py",
    "tracking.max_acc_drop": "src/helixnas/registry/promote.py",
    "flow.num_workers": "flows/search.py",
}
"""Where a knob is read that no stage reads, or none of a convolutional network with a teacher's cached features."""


def test_there_is_no_dead_knob(run: Callable[[str], Run]) -> None:
    read = set().union(*(run(name).keys for name in STAGES))
    assert {leaf for leaf in leaves() if not any(covers(key, leaf, ".") for key in read)} == set(OUTSIDE_STAGES)
    for key, path in OUTSIDE_STAGES.items():
        assert key.rpartition(".")[2] in (ROOT / path).read_text()


def test_params_yaml_sets_every_field_and_the_schema_sets_none() -> None:
    unset = []
    sections = [("", load(ROOT))]
    for place, section in sections:
        unset += [f"{place}.{name}" for name in set(type(section).model_fields) - section.model_fields_set]
        for name, value in section:
            items = value if isinstance(value, list) else [value]
            sections += [(f"{place}.{name}", item) for item in items if hasattr(item, "model_fields_set")]
        assert all(field.is_required() for field in type(section).model_fields.values()), f"{place} has a default"
    assert unset == []


TEST_PART = "artifacts/data/test"


def test_only_the_report_the_proof_of_the_files_and_the_teacher_depend_on_the_test_part() -> None:
    entries = dvc_yaml()["stages"].items()
    assert [name for name, entry in entries if TEST_PART in entry["outs"]] == ["data"]
    readers = [name for name, entry in entries if any(covers(dep, TEST_PART, "/") for dep in entry["deps"])]
    assert readers == ["teacher", "export", "report"]


def test_only_the_report_the_gate_and_proofs_load_the_test_part_and_the_teacher_where_it_must() -> None:
    """The export stage decides on int8 before it loads it.

    The teacher stage labels it for want of labels, and asks whether a teacher of the registry has seen it.
    """
    readers = set()
    for path in python_files("src", "flows"):
        for node in ast.walk(tree(path)):
            is_named = isinstance(node, ast.Constant) and str(node.value).endswith("data/test")
            if is_named or (isinstance(node, ast.Call) and _part(node) == "test"):
                readers.add(path.name)
    assert readers == {"export.py", "report.py", "promote.py", "teacher.py"}
    for function in (node for node in tree(PACKAGE / "stages/teacher.py").body if isinstance(node, ast.FunctionDef)):
        loads = any(isinstance(node, ast.Call) and _part(node) == "test" for node in ast.walk(function))
        assert loads == (function.name in {"_fetch", "_save_labels"}), function.name


def _part(call: ast.Call) -> str | None:
    """The part that a call of ``load_part`` names; a name that is not written out could be any."""
    if not (isinstance(call.func, ast.Name) and call.func.id in {"load_part", "load_raw_part"}):
        return None
    name = call.args[1]
    assert isinstance(name, ast.Constant), ast.unparse(call)
    return str(name.value)
