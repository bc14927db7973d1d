import math
from dataclasses import replace

import pandas as pd
import pytest

from helixnas.blocks import BlockSpec
from helixnas.report import ReportData
from helixnas.results import (
    Budget,
    Choice,
    CostTable,
    Figure,
    Figures,
    LayerLoss,
    RatingTable,
    Retraining,
    SearchResult,
    TeacherAccuracy,
)
from helixnas.search import trials_table
from helixnas.search_space import TEACHER, BlockSpace, Cell, SearchSpace, mbconv
from tests.costs import three

OPTIONS = (mbconv(3, 6, 0.25), mbconv(5, 3, 0.25))
NASTY = "<img src=x onerror=alert(1)> & 'co' </script>"


def make_space() -> SearchSpace:
    """Two blocks; the first may give 8 channels or 6, so that the second's costs have two widths."""
    kept = Cell((8,), (2,), ((TEACHER,),))
    first = (kept, Cell((8,), (2,), (OPTIONS,)), Cell((4, 6), (2, 1), (OPTIONS, OPTIONS)))
    second = (replace(kept, strides=(1,)), Cell((8, 8), (1, 1), (OPTIONS, OPTIONS)))
    return SearchSpace(
        (
            BlockSpace(BlockSpec(0, (4, 8, 8), (8, 4, 4), "NCHW", ("layer1.0", "layer1.1")), first),
            BlockSpace(BlockSpec(1, (8, 4, 4), (8, 4, 4), "NCHW", ("layer2",)), second),
        )
    )


def make_rating(block: BlockSpace) -> RatingTable:
    paths = tuple(path.key for path in block.paths())
    losses = tuple(0.0 if index == 0 else 0.1 + 0.01 * index for index in range(len(paths)))
    return RatingTable(block.block_id, paths, losses, num_images=270, seed=3, criterion="feature", constant=1.0)


def make_costs(block: BlockSpace, in_widths: tuple[int, ...], *, is_measured: bool) -> CostTable:
    keys = tuple(path.key for path in block.paths())
    rows = [(width, key, rank) for width in in_widths for rank, key in enumerate(keys)]
    costs = tuple(three(100_000 * width - 20_000 * rank, 500, 0.5 if is_measured else None) for width, _, rank in rows)
    return CostTable(block.block_id, tuple(row[0] for row in rows), tuple(row[1] for row in rows), costs)


def make_choice(space: SearchSpace, arch_id: str, madds: int, loss: float, *, is_measured: bool = True) -> Choice:
    return Choice(space.parse(arch_id), loss, three(madds, 900, 1.25 if is_measured else None))


def make_data(*, is_measured: bool = True, num_trials: int = 6) -> ReportData:
    space = make_space()
    exact = make_choice(space, "1:1-1:0.1", 1_000_000, 0.25, is_measured=is_measured)
    chosen = replace(make_choice(space, "2:0.1-1:1.1", 900_000, 0.28, is_measured=is_measured), val_loss=0.1)
    whole = make_choice(space, "0:0-0:0", 2_400_000, 0.0, is_measured=is_measured)
    budget = Budget(madds=1_200_000.0)
    reason = f"it measured better {NASTY}"
    frontier = (chosen, exact, whole)
    result = SearchResult(chosen, "refine", reason, exact, "proven", budget, (exact, chosen), frontier, num_trials)
    trials = [replace(exact, predicted_loss=0.25 + i / 100, val_loss=0.2 + math.sin(i) / 9) for i in range(num_trials)]
    latencies = (4.0, 1.6, 1.6) if is_measured else (None, None, None)
    rows = [
        Figure(name, acc, three(madds, 5000, latency_ms))
        for name, acc, madds, latency_ms in zip(
            (f"teacher {NASTY}", "student before retraining", "student"),
            (0.99, 0.75, 0.98),
            (2_400_000, 900_000, 900_000),
            latencies,
            strict=True,
        )
    ]
    curve = pd.DataFrame({"step": [0, 1], "name": "distill_loss", "value": [2.0, 0.5]})
    return ReportData(
        figures=Figures(
            chosen.architecture.arch_id,
            *rows,
            budget,
            400,
            {"device": f"cpu: {NASTY}"},
            Retraining("retrained", 0.75, 0.97),
        ),
        result=result,
        space=space,
        ratings=tuple(map(make_rating, space.blocks)),
        costs=tuple(
            make_costs(block, widths, is_measured=is_measured)
            for block, widths in zip(space.blocks, ((4,), (6, 8)), strict=True)
        ),
        curves={"distill@0": curve, "distill@1": curve, "retrain": curve.assign(name=NASTY)},
        facts={"commit": NASTY, "seed": "17"},
        teacher=TeacherAccuracy(0.9, 270, 10),
        layers=(LayerLoss(0, "layer1.1", 0.0312), LayerLoss(1, f"layer2.1 {NASTY}", 0.75)),
        trials=trials_table([chosen, *trials] if num_trials else [], chosen),
    )


@pytest.fixture
def data() -> ReportData:
    return make_data()
