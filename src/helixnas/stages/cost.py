"""cost: madds and num_params counted, latency measured, for every path, for stem and head, and for the teacher.

Counts reproduce and lie in ``counted/``. Times do not, and lie in ``measured/`` with the machine they were taken on.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.cost import count, count_paths, in_widths, machine, measure, path_runs, runner
from helixnas.cut import CutTeacher
from helixnas.data import load_in_shape
from helixnas.results import Cost, CostTable
from helixnas.search_space import SearchSpace
from helixnas.stages.loading import load_space, load_teacher
from helixnas.stages.setting import Setting, begin


def run(config: RunConfig) -> None:
    """Run the stage: count and measure every path, and save the tables."""
    setting = begin("cost", config, config.cost.num_threads)
    space = load_space(setting.root, config)
    teacher = load_teacher(setting.root, config, torch.device("cpu"))
    in_shape = load_in_shape(setting.root / folder("data") / "train")
    tables = _count(setting, space, teacher, in_shape)
    if config.cost.latency.num_rounds:
        teacher.to(setting.device)
        _measure(setting, space, teacher, in_shape, tables)
    else:
        artifacts.save_json(setting.out / "measured" / "machine.json", "machine", {})


def _count(setting: Setting, space: SearchSpace, teacher: CutTeacher, in_shape: tuple[int, ...]) -> list[CostTable]:
    tables = []
    for block, teacher_block in zip(space.blocks, teacher.blocks, strict=True):
        table = count_paths(block, in_widths(space, block.block_id), teacher_block).check(block)
        frame = _frame(table).assign(
            madds=[c.madds for c in table.costs], num_params=[c.num_params for c in table.costs]
        )
        _save(setting.out / "counted", block.block_id, "counted", frame, {"space": space.digest})
        tables.append(table)
    fixed = count(teacher.stem, in_shape) + count(teacher.head, space.blocks[-1].spec.out_shape)
    value = {"fixed": _counts(fixed), "teacher": _counts(count(teacher.network, in_shape))}
    artifacts.save_json(setting.out / "counted" / "fixed.json", "fixed", value)
    return tables


def _measure(
    setting: Setting, space: SearchSpace, teacher: CutTeacher, in_shape: tuple[int, ...], tables: list[CostTable]
) -> None:
    settings = setting.config.cost.latency
    runs = []
    for block, teacher_block in zip(space.blocks, teacher.blocks, strict=True):
        for width in in_widths(space, block.block_id):
            runs += path_runs(block, width, teacher_block, settings.batch_size, setting.device)
    inputs = torch.rand(settings.batch_size, *in_shape, device=setting.device)
    features = torch.rand(settings.batch_size, *space.blocks[-1].spec.out_shape, device=setting.device)
    whole: dict[str, tuple[nn.Module, torch.Tensor]] = {
        "stem": (teacher.stem, inputs),
        "head": (teacher.head, features),
        "teacher": (teacher.network, inputs),
    }
    runs += [runner(network, batch) for network, batch in whole.values()]
    times = iter(measure(runs, settings.num_rounds, settings.quantile, setting.progress))
    for table in tables:
        frame = _frame(table).assign(latency_ms=[next(times) for _ in table.paths])
        _save(setting.out / "measured", table.block_id, "measured", frame, {"space": space.digest})
    stem, head, teacher_ms = times
    value = {"latency_ms": {"fixed": stem + head, "teacher": teacher_ms}}
    artifacts.save_json(setting.out / "measured" / "fixed.json", "measured", value)
    artifacts.save_json(setting.out / "measured" / "machine.json", "machine", machine(setting.device))


def _frame(table: CostTable) -> pd.DataFrame:
    return pd.DataFrame({"in_width": table.in_widths, "path": table.paths})


def _save(folder: Path, block_id: int, kind: str, frame: pd.DataFrame, facts: Mapping[str, str]) -> None:
    artifacts.save_table(folder / f"block_{block_id}.parquet", kind, frame, facts)


def _counts(cost: Cost) -> dict[str, int]:
    return {"madds": cost.madds, "num_params": cost.num_params}
