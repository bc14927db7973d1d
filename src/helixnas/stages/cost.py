"""cost: every path, stem and head, and the teacher, in each kind of ``cost.kinds``.

Counts reproduce and lie in ``counted/``. Measurements do not, and lie in ``measured/`` with the machine of theirs.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.cost import (
    Subject,
    count,
    count_paths,
    from_pixels,
    in_widths,
    machine,
    measure,
    measuring_device,
    path_subjects,
)
from helixnas.cost_kinds import measured
from helixnas.cut import CutTeacher
from helixnas.data import load_in_shape
from helixnas.handover.setting import Setting, begin
from helixnas.handover.space import load_space
from helixnas.handover.teacher import load_teacher
from helixnas.results import Cost, CostTable
from helixnas.search_space import SearchSpace


def run(config: RunConfig) -> None:
    """Run the stage: count and measure every path, and save the tables."""
    setting = begin("cost", config, config.cost.num_threads)
    space = load_space(setting.root, config)
    teacher = load_teacher(setting.root, config, torch.device("cpu"))
    in_shape = load_in_shape(setting.root / folder("data") / "train")
    tables = _count(setting, space, teacher, in_shape)
    if measured(config.cost.kinds):
        teacher.to(measuring_device(config.cost, setting.device))
        _measure(setting, space, teacher, in_shape, tables)
    else:
        artifacts.save_json(setting.out / "measured" / "machine.json", "machine", {})


def _count(setting: Setting, space: SearchSpace, teacher: CutTeacher, in_shape: tuple[int, ...]) -> list[CostTable]:
    kinds = setting.config.cost.kinds
    tables = [
        count_paths(block, in_widths(space, block.block_id), teacher_block, kinds).check(block)
        for block, teacher_block in zip(space.blocks, teacher.blocks, strict=True)
    ]
    fixed = count(teacher.stem, in_shape, kinds) + count(teacher.head, space.blocks[-1].spec.out_shape, kinds)
    costs = [cost for table in tables for cost in table.costs]
    _save(setting.out / "counted", "counted", space, tables, costs, fixed, count(teacher.network, in_shape, kinds))
    return tables


def _measure(
    setting: Setting, space: SearchSpace, teacher: CutTeacher, in_shape: tuple[int, ...], tables: list[CostTable]
) -> None:
    settings, device = setting.config.cost.latency, measuring_device(setting.config.cost, setting.device)
    subjects: list[Subject] = []
    for block, teacher_block in zip(space.blocks, teacher.blocks, strict=True):
        for width in in_widths(space, block.block_id):
            subjects += path_subjects(block, width, teacher_block, settings.batch_size, device)
    inputs = torch.rand(settings.batch_size, *in_shape, device=device)
    features = torch.rand(settings.batch_size, *space.blocks[-1].spec.out_shape, device=device)
    subjects += [
        (from_pixels(teacher.stem), inputs),
        (teacher.head, features),
        (from_pixels(teacher.network), inputs),
    ]
    *costs, stem, head, whole = measure(subjects, setting.config.cost.kinds, setting.config.cost, setting.progress)
    _save(setting.out / "measured", "measured", space, tables, costs, stem + head, whole)
    artifacts.save_json(
        setting.out / "measured" / "machine.json", "machine", machine(setting.device, setting.config.cost)
    )


def _save(
    folder: Path,
    kind: str,
    space: SearchSpace,
    tables: Sequence[CostTable],
    costs: Sequence[Cost],
    fixed: Cost,
    teacher: Cost,
) -> None:
    """Save the costs of the tables' rows, a column for each kind, and those of stem with head and of the teacher."""
    rows = iter(costs)
    for table in tables:
        columns = pd.DataFrame([dict(next(rows)) for _ in table.paths])
        frame = pd.concat([pd.DataFrame({"in_width": table.in_widths, "path": table.paths}), columns], axis=1)
        artifacts.save_table(
            folder / f"block_{table.block_id}.parquet", kind, frame, {"space": space.blocks[table.block_id].digest}
        )
    artifacts.save_json(folder / "fixed.json", f"{kind} fixed", {"fixed": dict(fixed), "teacher": dict(teacher)})
