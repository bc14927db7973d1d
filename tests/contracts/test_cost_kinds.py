"""What every kind of cost must hold to; a new file in ``cost_kinds/`` is tested here without a further line."""

from functools import reduce
from operator import add

import pytest
import timm
import torch
from torch import nn

from helixnas.config import load
from helixnas.cost import count, count_paths, in_widths, measure
from helixnas.cost_kinds import CostKind, counted, kind, known, measured
from helixnas.cut import cut
from helixnas.progress import silent
from helixnas.results import Budget, Cost
from helixnas.search_space import Architecture, build
from helixnas.student import BlockSupernet, assemble
from helixnas.telling import quantity
from tests.conftest import ROOT

every_kind = pytest.mark.parametrize("name", known())
SMALL, LARGE = nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3))
SHAPE = (3, 12, 12)


@every_kind
def test_it_is_called_as_its_file_and_has_words_for_people(name: str) -> None:
    found: CostKind = kind(name)
    assert found.name == name
    assert found.title
    assert found.unit == "" or name.endswith(found.unit)
    assert quantity(name, 12_345_678).endswith(found.unit or "M") or found.unit == "bytes"
    assert found.is_measured == (name in measured([name])) != (name in counted([name]))


@pytest.mark.parametrize("name", counted(known()))
def test_counts_are_whole_and_come_out_the_same_each_time(name: str) -> None:
    small, large = (count(network, SHAPE, [name])[name] for network in (SMALL, LARGE))
    assert isinstance(small, int)
    assert 0 < small < large
    assert count(SMALL, SHAPE, [name])[name] == small


@pytest.mark.parametrize("name", measured(known()))
def test_each_subject_has_a_measurement_above_zero(name: str) -> None:
    subjects = [(SMALL.eval(), torch.rand(1, *SHAPE)), (LARGE.eval(), torch.rand(64, *SHAPE))]
    costs = measure(subjects, [name], load(ROOT, ["cost.latency.num_rounds=5"]).cost, silent)
    assert len(costs) == 2
    assert all(cost[name] > 0 for cost in costs)


@every_kind
def test_parts_combine_the_same_in_any_grouping(name: str) -> None:
    parts = [Cost({name: value}) for value in (3, 7, 5)]
    assert (parts[0] + parts[1]) + parts[2] == parts[0] + (parts[1] + parts[2])
    assert reduce(add, parts)[name] == (7 if kind(name).is_max else 15)


@every_kind
def test_a_budget_limits_it(name: str) -> None:
    budget = Budget.resolve({name: "50%"}, Cost({name: 10.0}))
    assert budget.admits(Cost({name: 5.0}))
    assert not budget.admits(Cost({name: 5.1}))
    assert name in str(budget)


@every_kind
def test_params_may_ask_for_it_and_limit_it(name: str) -> None:
    kinds = sorted({"madds", name})
    config = load(ROOT, [f"cost.kinds=[{','.join(kinds)}]", f"search.budget.{name}=40%"])
    assert name in config.searched_kinds


@pytest.mark.parametrize("name", counted(known()))
def test_the_tables_combine_to_what_the_whole_student_costs(name: str) -> None:
    """That a sum, or a maximum, over blocks is exact is what the exact search stands on."""
    torch.manual_seed(0)
    in_shape = (3, 64, 64)
    network = timm.create_model("resnet10t")
    teacher = cut(network, [["layer1"], ["layer2"], ["layer3", "layer4"]], torch.rand(2, *in_shape))
    space = build(teacher.specs, load(ROOT).search_space)
    tables = [
        count_paths(block, in_widths(space, block.block_id), piece, [name])
        for block, piece in zip(space.blocks, teacher.blocks, strict=True)
    ]
    supernets = [BlockSupernet(block, piece) for block, piece in zip(space.blocks, teacher.blocks, strict=True)]
    fixed = count(teacher.stem, in_shape, [name]) + count(teacher.head, space.blocks[-1].spec.out_shape, [name])
    for index in (0, 1, 5, -1):
        paths = [list(block.paths())[index] for block in space.blocks]
        rows = [table.costs[table.paths.index(path.key)] for table, path in zip(tables, paths, strict=True)]
        student = assemble(teacher.stem, supernets, teacher.head, Architecture(tuple(paths))).eval()
        assert count(student, in_shape, [name]) == reduce(add, rows, fixed)
