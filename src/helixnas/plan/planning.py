"""Plan a run before any training: the cut, the choices, the budgets that can be reached, the time and memory."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from helixnas.compare import obvious_ways
from helixnas.config import RunConfig
from helixnas.cost import count, count_paths, from_pixels, in_widths, machine, measure
from helixnas.cost_kinds import counted, measured
from helixnas.cut import CutTeacher, cut
from helixnas.data import Peek, peek, peek_rating
from helixnas.distill import reads_teacher, require_learnable
from helixnas.errors import InfeasibleBudgetError, OutOfTimeError
from helixnas.fit import accuracy, require_known
from helixnas.handover.network import PROGRAM, asked_blocks, fetch, is_registered, new_network, require_frozen
from helixnas.handover.space import new_space, whole_space
from helixnas.plan.exportable import require_exportable
from helixnas.plan.needs import Likely, Sizes, Workload
from helixnas.plan.workload import workloads
from helixnas.progress import silent
from helixnas.results import Budget, Cost, CostTable, RatingTable, TeacherAccuracy
from helixnas.scratch import scratch
from helixnas.search import extreme, solve
from helixnas.search_space import SearchSpace
from helixnas.student import BlockSupernet, assemble
from helixnas.telling import member, quantity

NUM_EXAMPLES = 2
NUM_JUDGED, MIN_JUDGED = 500, 100
"""Images of the rating part that the teacher is judged by before a run: the most, and the least of a large teacher."""
JUDGED_MADDS = 10**11
"""The most madds that judging the teacher may take in all: some ten seconds of a core."""


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """One block of the cut.

    Attributes:
        block_id: Number of the block, from 0.
        modules: The teacher's modules in the block.
        in_shape: Shape of its input without the batch.
        out_shape: Shape of its output without the batch.
        madds_share: Its share of the teacher's madds, 0 to 1.
        num_cells: Number of its cells.
        num_paths: Number of its paths.
        num_dearer: Number of paths that were left out, since the teacher's block takes less of every counted cost.
    """

    block_id: int
    modules: tuple[str, ...]
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    madds_share: float
    num_cells: int
    num_paths: int
    num_dearer: int


@dataclass(frozen=True, slots=True)
class Reach:
    """The range of a cost over the architectures of a space.

    Latencies are measured only on the architectures with the least and the most madds and num_params, so other
    architectures may be faster yet.

    Attributes:
        least: The least that an architecture takes.
        teacher: The cost of the teacher.
        most: The most that an architecture takes.
        limit: The limit in the budget, or None.
    """

    least: float
    teacher: float
    most: float
    limit: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The contents of the page that ``helixnas plan`` prints.

    Attributes:
        blocks: The blocks of the cut.
        num_architectures: Number of architectures in the space.
        reach: The range of each cost.
        fault: Why the budget cannot be reached, with the nearest budget that can; None where nothing speaks against it.
        is_certain: Whether the fault is proven. A fault of latency is not: an unmeasured architecture may be faster.
        workloads: What each stage will take.
        num_workers: Stages that run at a time.
        machine: The machine on which steps were measured.
        teacher: How good the teacher is as it comes; None where it is trained first, images have no labels, or the
            search does not read it.
        member: Which member of the DNA family the run is, in words.
    """

    blocks: tuple[BlockPlan, ...]
    num_architectures: int
    reach: dict[str, Reach]
    fault: str | None
    is_certain: bool
    workloads: tuple[Workload, ...]
    num_workers: int
    machine: dict[str, str]
    teacher: TeacherAccuracy | None
    member: str


def plan(config: RunConfig) -> Plan:
    """Cut the teacher, judge it if it comes trained, count every path, and measure a few steps. Nothing is written."""
    torch.set_num_threads(config.cost.num_threads)
    require_known(config.teacher.recipe, "teacher.recipe")
    require_known(config.retrain.recipe, "retrain.recipe")  # else the retrain stage would fail hours later
    seen = peek(config.data)
    for note in seen.notes:
        print(note, file=sys.stderr)
    require_frozen(config.teacher, seen.num_classes)
    example = torch.rand(NUM_EXAMPLES, *seen.in_shape)
    teacher = cut(_network(config, seen), asked_blocks(config.teacher), example)
    space = new_space(teacher.specs, config)
    for block in space.blocks:
        require_learnable(config.distill.supervision, block)
    require_exportable(teacher, space, example)
    tables = [
        count_paths(block, in_widths(space, block.block_id), piece, config.cost.kinds).check(block)
        for block, piece in zip(space.blocks, teacher.blocks, strict=True)
    ]
    costs = _costs(config, teacher, space, tables, seen.in_shape)
    budget = Budget.resolve(config.search.budget, costs["teacher"])
    impossible = _impossible(space, tables, costs["fixed"], budget, config.search.time_limit_s)
    is_judged = reads_teacher(config.distill.supervision) and not config.teacher.recipe.epochs
    sizes = Sizes(seen.num_images["train"], seen.num_images["rating"], seen.num_images["test"], seen.in_shape)
    reach = _reach(costs, budget)
    num_obvious = len(obvious_ways(space, tables, costs["fixed"], _counted(budget)))
    likely = Likely(extreme(space, tables, "madds", largest=True), _budget_share(reach), num_obvious)
    return Plan(
        blocks=_blocks(teacher, space, whole_space(teacher.specs, config), costs["teacher"]),
        num_architectures=space.num_architectures,
        reach=reach,
        fault=impossible or _slow(costs, budget),
        is_certain=impossible is not None,
        workloads=tuple(workloads(config, sizes, teacher, space, likely)),
        num_workers=config.flow.num_workers,
        machine=machine(torch.device("cpu"), config.cost),
        teacher=_judged(config, teacher.network, costs["teacher"]) if is_judged else None,
        member=member(config.rating.criterion),
    )


def _network(config: RunConfig, seen: Peek) -> nn.Module:
    """The teacher as the teacher stage will make it, except that weights to be trained further are not fetched."""
    is_judged = config.teacher.recipe.epochs == 0
    settings = config.teacher if is_judged else config.teacher.model_copy(update={"pretrained": False})
    whole = (0.0,) * seen.in_shape[0], (1.0,) * seen.in_shape[0]
    with scratch() as folder:
        program = folder / PROGRAM.name
        if is_registered(settings):
            fetch(Path(), config.tracking.experiment, settings, program)
        return new_network(program, settings, seen.in_shape, seen.num_classes, *whole)


def _judged(config: RunConfig, network: nn.Module, cost: Cost) -> TeacherAccuracy | None:
    """The accuracy of a teacher that is not trained here, on the first rating images, if these have labels."""
    num_images = min(NUM_JUDGED, max(MIN_JUDGED, JUDGED_MADDS // max(1, int(cost["madds"]))))
    part = peek_rating(config.data, num_images)
    if not part.is_labelled:
        return None
    if is_registered(config.teacher):  # a registered network normalises pixels itself
        part = replace(part, mean=(0.0,) * len(part.mean), std=(1.0,) * len(part.std))
    return TeacherAccuracy(accuracy(network, part), len(part), len(part.class_names))


def _costs(
    config: RunConfig, teacher: CutTeacher, space: SearchSpace, tables: list[CostTable], in_shape: tuple[int, ...]
) -> dict[str, Cost]:
    """The costs of the teacher, of the architectures with the least and most of each counted cost, of stem and head."""
    supernets = [BlockSupernet(block, piece) for block, piece in zip(space.blocks, teacher.blocks, strict=True)]
    found = {
        f"{word} {name}": assemble(
            teacher.stem, supernets, teacher.head, extreme(space, tables, name, largest=word == "most")
        ).eval()
        for name in counted(config.cost.kinds)
        for word in ("least", "most")
    }
    networks = {"teacher": teacher.network, **found}
    kinds = config.cost.kinds
    inputs = torch.rand(config.cost.latency.batch_size, *in_shape)
    subjects = [(from_pixels(network), inputs) for network in networks.values()]
    times = measure(subjects, kinds, config.cost, silent)
    costs = {
        name: (count(network, in_shape, kinds) | time).only(kinds)
        for (name, network), time in zip(networks.items(), times, strict=True)
    }
    outside = space.blocks[-1].spec.out_shape
    costs["fixed"] = count(teacher.stem, in_shape, kinds) + count(teacher.head, outside, kinds)
    return costs


def _blocks(teacher: CutTeacher, space: SearchSpace, whole: SearchSpace, total: Cost) -> tuple[BlockPlan, ...]:
    """The blocks of ``space``, which is ``whole`` without the dearer paths; ``total`` is the teacher's cost."""
    return tuple(
        BlockPlan(
            block_id=block.block_id,
            modules=block.spec.teacher_modules,
            in_shape=block.spec.in_shape,
            out_shape=block.spec.out_shape,
            madds_share=count(piece, block.spec.in_shape, ["madds"])["madds"] / total["madds"],
            num_cells=len(block.cells),
            num_paths=block.num_paths,
            num_dearer=all_paths.num_paths - block.num_paths,
        )
        for block, all_paths, piece in zip(space.blocks, whole.blocks, teacher.blocks, strict=True)
    )


def _reach(costs: dict[str, Cost], budget: Budget) -> dict[str, Reach]:
    whole = {name: cost for name, cost in costs.items() if name != "fixed"}
    return {
        name: Reach(
            least=min(cost[name] for cost in whole.values()),
            teacher=teacher,
            most=max(cost[name] for cost in whole.values()),
            limit=budget.get(name),
        )
        for name, teacher in costs["teacher"].items()
    }


def _counted(budget: Budget) -> Budget:
    """The limits on costs that the tables know before anything is measured."""
    return budget.only(counted(budget))


def _budget_share(reach: dict[str, Reach]) -> float:
    """How large a student within the budget may be, where 1 is the largest of all."""
    return min([1.0, *(each.limit / each.most for each in reach.values() if each.limit is not None)])


def _impossible(
    space: SearchSpace, tables: list[CostTable], fixed: Cost, budget: Budget, time_limit_s: float
) -> str | None:
    """Why no architecture fits the counted costs; None where an architecture does, or none is found in time."""
    nothing = [
        RatingTable(block.block_id, tuple(path.key for path in block.paths()), (0.0,) * block.num_paths, 0, 0, "", None)
        for block in space.blocks
    ]
    try:
        solve(space, nothing, tables, fixed, _counted(budget), 1, time_limit_s)
    except InfeasibleBudgetError as error:
        return str(error)
    except OutOfTimeError:
        pass
    return None


def _slow(costs: dict[str, Cost], budget: Budget) -> str | None:
    """Why no architecture is known to fit a measured cost."""
    for name in measured(budget):
        least = min(cost[name] for cost in costs.values() if name in cost)
        if least > budget.ceiling(name):
            return (
                f"No architecture is known to fit budget {budget.only([name])}: the best that was tried took "
                f"{quantity(name, least)} here. Raise search.budget.{name} to at least {least:.3f}."
            )
    return None
