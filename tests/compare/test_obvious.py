from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from helixnas.compare import obvious, obvious_ways
from helixnas.results import Budget, Cost
from helixnas.search_space import SearchSpace
from tests.costs import three

from .conftest import Tables, make_tables, num_kept


def budgets(tables: Tables, seed: int) -> list[Budget]:
    """Each limit alone and all together, at costs that architectures really have, so that equality matters."""
    rng = np.random.default_rng(seed)
    every = [tables.cost(architecture) for architecture, _ in tables.made_of_teacher()]
    madds, num_params, latency_ms = (every[rng.integers(len(every))] for _ in range(3))
    peak = every[rng.integers(len(every))].only(["peak_memory_bytes"])
    return [
        Budget(madds=madds["madds"]),
        Budget(num_params=num_params["num_params"]),
        Budget(latency_ms=latency_ms["latency_ms"]),
        Budget(madds=madds["madds"], num_params=num_params["num_params"], latency_ms=latency_ms["latency_ms"]),
        Budget(peak),
        Budget(peak, madds=madds["madds"]),
    ]


def by_brute_force(tables: Tables, budget: Budget) -> dict[str, Cost]:
    """Every way that fits and that no other one is above."""
    fitting = [(a, kept, tables.cost(a)) for a, kept in tables.made_of_teacher() if budget.admits(tables.cost(a))]
    return {
        architecture.arch_id: cost
        for architecture, kept, cost in fitting
        if not any(
            all(more >= less for more, less in zip(other_kept, kept, strict=True))
            and (other["madds"] > cost["madds"] or (other["madds"] == cost["madds"] and other_kept != kept))
            for _, other_kept, other in fitting
        )
    }


@pytest.mark.parametrize("is_monotone", [True, False])
@pytest.mark.parametrize("seed", range(25))
def test_the_ways_are_those_of_brute_force(seed: int, is_monotone: bool) -> None:
    tables = make_tables(seed, num_blocks=1 + seed % 4, is_monotone=is_monotone)
    num_told = 0
    for budget in budgets(tables, seed):
        wanted = by_brute_force(tables, budget)
        if not wanted or len(wanted) > obvious.MAX_WAYS:
            continue
        found = obvious_ways(tables.space, tables.costs, tables.fixed, budget)
        assert {way.arch_id: way.cost for way in found} == wanted
        assert [way.cost["madds"] for way in found] == sorted((way.cost["madds"] for way in found), reverse=True)
        assert [way.key for way in found] == [f"obvious_{index}" for index in range(len(found))]
        num_told += 1
    assert num_told


@pytest.mark.parametrize("seed", range(10))
def test_no_layer_can_be_given_back(seed: int) -> None:
    tables = make_tables(seed, num_blocks=3, is_monotone=True)
    for budget in budgets(tables, seed):
        for way in obvious_ways(tables.space, tables.costs, tables.fixed, budget):
            architecture = tables.space.parse(way.arch_id)
            assert budget.excess(way.cost) == 0
            for block, path in zip(tables.space.blocks, architecture.paths, strict=True):
                for fuller in block.paths():
                    if (num_kept(block, fuller) or 0) > (num_kept(block, path) or 0):
                        paths = tuple(fuller if p.block_id == block.block_id else p for p in architecture.paths)
                        assert not budget.admits(tables.cost(replace(architecture, paths=paths)))


def test_without_a_limit_the_whole_teacher_is_the_only_way() -> None:
    tables = make_tables(0, num_blocks=3, is_monotone=True)
    (way,) = obvious_ways(tables.space, tables.costs, tables.fixed, Budget())
    assert (way.arch_id, way.name) == ("0:0-0:0-0:0", "teacher, all layers")
    assert way.num_layers == sum(max(1, len(block.spec.droppable)) for block in tables.space.blocks)


def test_a_way_is_named_by_what_it_leaves_out() -> None:
    tables = make_tables(1, num_blocks=3, is_monotone=True)
    whole = tables.cost(tables.space.parse("0:0-0:0-0:0"))
    for way in obvious_ways(tables.space, tables.costs, tables.fixed, Budget(madds=whole["madds"] - 1)):
        pairs = zip(tables.space.blocks, tables.space.parse(way.arch_id).paths, strict=True)
        left_out = [max(1, len(block.spec.droppable)) - (num_kept(block, path) or 0) for block, path in pairs]
        assert way.name == f"teacher without {left_out[0]}+{left_out[1]}+{left_out[2]} layers"
        num_layers = sum(max(1, len(block.spec.droppable)) for block in tables.space.blocks)
        assert way.num_layers == num_layers - sum(left_out)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["madds", "num_params", "latency_ms", "peak_memory_bytes"])
def test_where_nothing_fits_the_cheapest_is_taken_and_its_excess_told(seed: int, name: str) -> None:
    tables = make_tables(seed, num_blocks=3, is_monotone=False)
    least = min(tables.cost(architecture)[name] for architecture, _ in tables.made_of_teacher())
    budget = Budget(**{name: least * 0.8})
    (way,) = obvious_ways(tables.space, tables.costs, tables.fixed, budget)
    assert way.cost[name] == least
    assert way.cost == tables.cost(tables.space.parse(way.arch_id))
    assert budget.excess(way.cost) == pytest.approx(0.25)


def test_an_excess_is_of_the_limit_that_is_missed_most() -> None:
    cost = three(130, 110, None)
    assert Budget(madds=100, num_params=100).excess(cost) == pytest.approx(0.3)
    assert Budget(madds=130, num_params=110).excess(cost) == 0


def test_a_space_without_the_teachers_own_layers_has_no_obvious_way() -> None:
    tables = make_tables(0, num_blocks=2, is_monotone=True)
    last = tables.space.blocks[-1]
    bare = replace(last, cells=last.cells[-1:])
    keys = tuple(path.key for path in bare.paths())
    table = replace(tables.costs[-1], in_widths=(8,) * 4, paths=keys, costs=tables.costs[-1].costs[-4:])
    space = SearchSpace((tables.space.blocks[0], bare))
    assert obvious_ways(space, (tables.costs[0], table), tables.fixed, Budget(madds=20)) == ()


def test_of_very_many_ways_the_dearest_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = make_tables(3, num_blocks=4, is_monotone=False)
    budget = Budget(madds=20)
    every = obvious_ways(tables.space, tables.costs, tables.fixed, budget)
    assert len(every) > 3
    monkeypatch.setattr(obvious, "MAX_WAYS", 3)
    assert obvious_ways(tables.space, tables.costs, tables.fixed, budget) == every[:3]


def test_many_blocks_are_listed_at_once() -> None:
    tables = make_tables(0, num_blocks=9, is_monotone=True)
    whole = tables.cost(tables.space.parse("-".join(["0:0"] * 9)))
    budget = Budget(madds=whole["madds"] * 0.6)
    found = obvious_ways(tables.space, tables.costs, tables.fixed, budget)
    assert len({way.arch_id for way in found}) == len(found) <= obvious.MAX_WAYS
    room = budget["madds"] or 0
    for way in found:  # the least layer costs 4
        assert room - 4 < way.cost["madds"] <= room or way.cost["madds"] == max(w.cost["madds"] for w in found)
    assert all(first.cost["madds"] >= then.cost["madds"] for first, then in product(found[:1], found))
