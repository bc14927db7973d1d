import io
from dataclasses import replace

import pandas as pd

from helixnas.report import ReportData
from helixnas.results import Cost
from helixnas.search import frontier_table, trials_table

COLUMNS = ["arch_id", "predicted_loss", "madds", "num_params", "latency_ms", "is_chosen"]


def test_the_frontier_table_marks_the_chosen_row_alone(data: ReportData) -> None:
    table = frontier_table(data.result)
    assert list(table.columns) == COLUMNS
    assert table["madds"].tolist() == [900_000, 1_000_000, 2_400_000]
    assert table["is_chosen"].tolist() == [True, False, False]


def test_a_choice_off_the_frontier_has_its_row_by_its_madds(data: ReportData) -> None:
    result = replace(data.result, frontier=data.result.frontier[1:])
    assert frontier_table(result)["arch_id"].tolist() == ["2:0.1-1:1.1", "1:1-1:0.1", "0:0-0:0"]


def test_a_table_comes_back_equal_from_csv(data: ReportData) -> None:
    table = frontier_table(data.result)
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(table.to_csv(index=False))), table)


def test_trials_keep_their_order_and_their_measured_latency(data: ReportData) -> None:
    first = replace(data.result.chosen, measured=Cost(latency_ms=2.5), val_loss=0.2)
    second = replace(data.result.exact, measured=Cost(latency_ms=3.5), val_loss=0.3)
    table = trials_table([first, second], data.result.chosen)
    assert list(table.columns) == [*COLUMNS, "val_loss"]
    assert table["arch_id"].tolist() == ["2:0.1-1:1.1", "1:1-1:0.1"]
    assert table["is_chosen"].tolist() == [True, False]
    assert table["latency_ms"].tolist() == [2.5, 3.5]


def test_no_trials_make_a_table_with_all_columns_and_no_rows(data: ReportData) -> None:
    table = trials_table([], data.result.chosen)
    assert table.empty
    assert table.to_csv(index=False) == ",".join([*COLUMNS, "val_loss"]) + "\n"
