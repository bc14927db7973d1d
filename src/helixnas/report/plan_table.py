"""``helixnas plan`` on the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from helixnas.report.wording import percent
from helixnas.results import TeacherAccuracy
from helixnas.telling import quantity


def print_plan(plan: Mapping[str, Any], console: Console) -> None:
    """Print a plan, given as plain values: the blocks, what budgets can be reached, what each stage takes."""
    if plan["teacher"]:
        teacher = TeacherAccuracy(**plan["teacher"])
        console.print(*filter(None, (str(teacher), teacher.warning)), "", sep="\n", highlight=False)
    _print("The cut", ("block", "in", "out", "madds", "cells", "paths", "modules"), _blocks(plan["blocks"]), console)
    for block in plan["blocks"]:
        if block["num_dearer"]:
            num_all = block["num_paths"] + block["num_dearer"]
            console.print(
                f"block {block['block_id']}: {block['num_dearer']} of {num_all} paths dearer than the block are not "
                "trained (search_space.drop_dearer)",
                highlight=False,
            )
    console.print(f"{plan['num_architectures']:.3g} architectures\n", highlight=False)
    reach = [
        (
            name,
            *(quantity(name, row[column]) for column in ("least", "teacher", "most")),
            "" if row["limit"] is None else quantity(name, row["limit"]),
        )
        for name, row in plan["reach"].items()
    ]
    _print("Budgets", ("", "least", "teacher", "most", "asked"), reach, console)
    workloads = [
        (row["stage"], _time(row["time_s"]), _size(row["memory_bytes"]), _size(row["disk_bytes"]))
        for row in plan["workloads"]
    ]
    _print("What it takes here", ("stage", "time", "memory", "disk"), workloads, console)
    total_s = sum(workload["time_s"] for workload in plan["workloads"])
    console.print(
        f"about {_time(total_s)} of work, {plan['num_workers']} stages at once where they can; on "
        f"{plan['machine']['device']}, {plan['machine']['num_threads']} threads",
        highlight=False,
    )


def _print(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], console: Console) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 or column == "modules" else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()


def _blocks(blocks: Sequence[Mapping[str, Any]]) -> Iterable[tuple[str, ...]]:
    for block in blocks:
        shapes = ("x".join(map(str, block[name])) for name in ("in_shape", "out_shape"))
        counts = (percent(block["madds_share"]), str(block["num_cells"]), str(block["num_paths"]))
        modules = block["modules"]
        yield (
            str(block["block_id"]),
            *shapes,
            *counts,
            modules[0] if len(modules) == 1 else f"{modules[0]} ... {modules[-1]}",
        )


def _time(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _size(num_bytes: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= size:
            return f"{num_bytes / size:.1f} {unit}"
    return f"{num_bytes / 1e3:.0f} kB"
