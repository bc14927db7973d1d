"""A budget means the same for one cost and for an array of them; sums mean the same in both places that add."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helixnas.errors import ArtifactError
from helixnas.results import Budget, Cost, CostTable
from helixnas.search.merge import merge
from helixnas.search.options import block_options, ceilings, within
from helixnas.search_space import Architecture
from tests.costs import KINDS

from .conftest import Instance, make_instance
from .test_frontier import beaters

LIMITS = st.one_of(st.none(), st.floats(1e-3, 1e12))


@given(limits=st.tuples(LIMITS, LIMITS, LIMITS), shares=st.tuples(*[st.floats(0, 2)] * 3))
def test_within_the_ceilings_is_what_the_budget_admits(limits, shares) -> None:
    budget = Budget(dict(zip(KINDS, limits, strict=True)))
    top = ceilings(budget, KINDS)
    finite = np.where(np.isfinite(top), top, 1.0)
    edges = np.array([finite, np.nextafter(finite, 0), np.nextafter(finite, np.inf), finite * shares])
    wanted = [budget.admits(Cost(dict(zip(KINDS, map(float, row), strict=True)))) for row in edges]  # type: ignore[arg-type]
    assert within(edges, top).tolist() == wanted


@pytest.mark.parametrize("seed", range(5))
def test_merged_sums_and_looked_up_sums_agree_to_the_last_bit(seed: int) -> None:
    instance = make_instance(seed, 4, 6, (8, 16), is_coarse=False)
    names = ("madds", "latency_ms")
    options = block_options(instance.space, instance.ratings, instance.costs, names)
    fixed = np.array([0.0, instance.fixed["madds"], instance.fixed["latency_ms"]])
    front = merge(options, fixed)
    price = instance.price
    for sums, rows in zip(front.sums, front.rows, strict=True):
        columns = zip(instance.space.blocks, options, rows, strict=True)
        choice = price(Architecture(tuple(block.path_at(int(option.path[row])) for block, option, row in columns)))
        assert (choice.predicted_loss, choice.cost["madds"], choice.cost["latency_ms"]) == tuple(sums)


def test_contenders_are_the_paths_that_no_other_beats() -> None:
    instance = make_instance(1, 2, 12)
    for block_id, keys in enumerate(instance.price.contenders(Budget(madds=1))):
        table = instance.costs[block_id]
        values = np.column_stack([instance.ratings[block_id].ratings, [cost["madds"] for cost in table.costs]])
        assert keys == tuple(table.paths[row] for row in np.flatnonzero(beaters(values) == 0))


def test_a_path_that_hands_on_another_width_contends_for_itself() -> None:
    instance = make_instance(0, 2, 1, (8, 16))  # each block: one path to each width
    assert instance.price.contenders(Budget()) == (("0:0", "1:0"), ("0:0", "1:0"))


def test_the_order_of_widths_in_a_cost_table_does_not_matter() -> None:
    instance = make_instance(4, 2, 5, (8, 16))
    table = instance.costs[1]
    interleaved = np.argsort(np.tile(np.arange(10), 2), kind="stable")  # the two widths of each path side by side
    columns = ([column[index] for index in interleaved] for column in (table.in_widths, table.paths, table.costs))
    mixed = Instance(
        instance.space,
        instance.ratings,
        (instance.costs[0], CostTable(1, *map(tuple, columns))),
        instance.fixed,
    )
    assert mixed.solve(Budget(madds=20), 5) == instance.solve(Budget(madds=20), 5)


def test_ratings_by_different_criteria_are_not_added_up() -> None:
    instance = make_instance(0, 3, 2)
    ratings = [*instance.ratings[:2], replace(instance.ratings[2], criterion="output")]
    with pytest.raises(ArtifactError, match=r"block 0 is rated by feature and block 2 by output\. Run `dvc repro`"):
        block_options(instance.space, ratings, instance.costs, ("madds",))
