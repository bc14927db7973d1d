"""A whole project in a folder, small enough to run every stage in seconds; and dvc.yaml's stages as values."""

import contextlib
import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from flows.parameters import change
from helixnas.config import RunConfig, load
from tests.conftest import ROOT

SMALLEST = [
    "data.image_size=8",
    "teacher.block_ids=[0,1]",
    "teacher.blocks=[[layer1],[layer2,layer3,layer4]]",
    "teacher.num_threads=1",
    "teacher.recipe.epochs=1",
    "distill.updates=1",
    "cost.latency.num_rounds=1",
    "cost.latency.runtime=torch",
    "search.budget.madds=97%",
    "search.budget.latency_ms=60000",
    "search.num_threads=1",
    "search.num_trials=2",
    "retrain.num_threads=1",
    "retrain.recipe.epochs=1",
    "retrain.recipe.lr=0.002",
    "report.num_latency_rounds=1",
]
"""On top of the tiny preset. A latency limit, which all meet, so that the search measures latency too.

Either block can lose a layer to fit the madds: two obvious ways, so that one is retrained whatever is chosen.
"""


class Stage(NamedTuple):
    """A stage of dvc.yaml. ``block_id`` is None where one stage serves all blocks; paths and params as DVC has them."""

    name: str
    block_id: int | None
    deps: list[str]
    params: list[str]
    outs: list[str]

    def run(self, root: Path, config: RunConfig) -> None:
        """What ``helixnas STAGE`` does, in a folder."""
        with contextlib.chdir(root):
            module = importlib.import_module(f"helixnas.stages.{self.name}")
            module.run(config, *([] if self.block_id is None else [self.block_id]))


def dvc_yaml() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "dvc.yaml").read_text()))


def stages(num_blocks: int) -> Iterator[Stage]:
    """The stages in dvc.yaml's order, which is an order to run them in."""
    for name, entry in dvc_yaml()["stages"].items():
        for block_id in range(num_blocks) if "matrix" in entry else [None]:
            deps, outs = (
                [path.replace("${item.block_id}", str(block_id)) for path in paths]
                for paths in (entry["deps"], entry["outs"] + entry.get("metrics", []))
            )
            yield Stage(name, block_id, deps, entry["params"], outs)


def new_project(root: Path) -> RunConfig:
    """A folder with what the stages need and no artifact."""
    for name in ("params.yaml", "dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "conf", root / "conf")
    change(root, "tiny", SMALLEST)
    return load(root)


def run_all(root: Path) -> None:
    config = load(root)
    for stage in stages(len(config.teacher.block_ids)):
        stage.run(root, config)
