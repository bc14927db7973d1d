"""What stages read of each other: the values that were saved, or one error that names the file."""

import contextlib
import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

from helixnas import artifacts
from helixnas.config import RunConfig, load
from helixnas.cut import CutTeacher
from helixnas.errors import ArtifactError, SpaceMismatchError
from helixnas.handover.parts import load_part
from helixnas.handover.space import load_block, load_space, load_specs, new_space
from helixnas.handover.student import load_supernet
from helixnas.handover.tables import load_chosen, load_costs, load_outer_costs, load_ratings, load_search_result
from helixnas.handover.teacher import load_feature_moments, load_layer_losses, load_teacher, load_teacher_accuracy
from helixnas.search_space import SearchSpace
from helixnas.stages import search_space
from tests.costs import COUNTED as COUNTED_KINDS
from tests.costs import KINDS

CPU = torch.device("cpu")
RATING = Path("artifacts/rating/block_1/rating.parquet")
COUNTED = Path("artifacts/cost/counted/block_1.parquet")
MEASURED = Path("artifacts/cost/measured/block_1.parquet")
Load = Callable[[Path, RunConfig], Any]


space_of = load_space


def supernet(root: Path, config: RunConfig) -> nn.Module:
    teacher = load_teacher(root, config, CPU)
    return load_supernet(root, load_block(root, config, 1), teacher)


LOADERS: dict[str, Load] = {
    "artifacts/data/train/index.parquet": lambda root, _: load_part(root, "train"),
    "artifacts/data/rating/images.json": lambda root, _: load_part(root, "rating"),
    "artifacts/teacher/cut.json": load_space,
    "artifacts/teacher/teacher.safetensors": lambda root, config: load_teacher(root, config, CPU),
    "artifacts/teacher/accuracy.json": lambda root, _: load_teacher_accuracy(root),
    "artifacts/teacher/layers.json": lambda root, _: load_layer_losses(root),
    "artifacts/teacher/features.safetensors": lambda root, _: load_feature_moments(root, 1),
    "artifacts/distill/block_1/supernet.safetensors": supernet,
    str(RATING): lambda root, config: load_ratings(root, space_of(root, config)),
    str(COUNTED): lambda root, config: load_costs(root, space_of(root, config), COUNTED_KINDS),
    str(MEASURED): lambda root, config: load_costs(root, space_of(root, config), KINDS),
    "artifacts/cost/counted/fixed.json": lambda root, _: load_outer_costs(root, COUNTED_KINDS),
    "artifacts/cost/measured/fixed.json": lambda root, _: load_outer_costs(root, KINDS),
    "artifacts/search/result.json": lambda root, config: load_search_result(root, space_of(root, config)),
    "artifacts/search/chosen.json": lambda root, config: load_chosen(root, space_of(root, config)),
}
every_file = pytest.mark.parametrize("name", LOADERS)


@pytest.fixture
def space(project: Path, run_config: RunConfig) -> SearchSpace:
    return load_space(project, run_config)


@every_file
def test_every_file_of_a_finished_run_is_read(project: Path, run_config: RunConfig, name: str) -> None:
    assert LOADERS[name](project, run_config) is not None


@every_file
def test_a_missing_file_is_named(project: Path, run_config: RunConfig, name: str) -> None:
    (project / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name} must exist, but does not\. Run `dvc repro`"):
        LOADERS[name](project, run_config)


@every_file
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_named(project: Path, run_config: RunConfig, name: str, share: float) -> None:
    whole = (project / name).read_bytes()
    (project / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ArtifactError, match=rf"{name} must be whole, but .* Remove it and run `dvc repro`"):
        LOADERS[name](project, run_config)


@every_file
def test_a_file_of_another_kind_is_named(project: Path, run_config: RunConfig, name: str) -> None:
    path = project / name
    if path.suffix == ".json":
        artifacts.save_json(path, "other", {})
    elif path.suffix == ".parquet":
        artifacts.save_table(path, "other", pd.DataFrame({"path": []}))
    else:
        artifacts.save_tensors(path, "other", {"x": torch.zeros(1)})
    with pytest.raises(ArtifactError, match=rf"{name} must hold \(.*\), but holds \('other', \d\)"):
        LOADERS[name](project, run_config)


@pytest.mark.parametrize(
    "name", [name for name in LOADERS if name.startswith(("artifacts/distill", str(RATING), str(COUNTED)))]
)
def test_what_was_made_for_another_space_is_named(project: Path, name: str) -> None:
    other = load(project, ["search_space.se_ratio=0.5"])
    with contextlib.chdir(project):
        search_space.run(other)
    wanted = rf"{name.replace('block_1', 'block_[01]')} must belong to the search space \w+, but belongs to \w+"
    with pytest.raises(SpaceMismatchError, match=wanted):
        LOADERS[name](project, other)


@pytest.mark.parametrize("name", ["artifacts/search/result.json", "artifacts/search/chosen.json"])
def test_what_was_chosen_from_another_space_is_named(project: Path, run_config: RunConfig, name: str) -> None:
    specs = load_specs(project)
    other = new_space(specs[:1], run_config)
    loader = load_chosen if name.endswith("chosen.json") else load_search_result
    with pytest.raises(SpaceMismatchError, match=rf"{name} cannot be used\. An arch_id .* must name 1 blocks"):
        loader(project, other)


def test_a_cut_into_other_blocks_is_named(project: Path, run_config: RunConfig) -> None:
    blocks = [[name for names in run_config.teacher.blocks for name in names]]
    other = run_config.model_copy(update={"teacher": run_config.teacher.model_copy(update={"blocks": blocks})})
    with pytest.raises(SpaceMismatchError, match=r"cut\.json must belong to teacher\.blocks as they are now"):
        load_space(project, other)


def test_another_teachers_weights_are_named(project: Path, run_config: RunConfig) -> None:
    path = project / "artifacts/teacher/teacher.safetensors"
    artifacts.save_tensors(path, "teacher", {"x": torch.zeros(1)})
    with pytest.raises(SpaceMismatchError, match=r"teacher\.safetensors must belong to teacher\.source"):
        load_teacher(project, run_config, CPU)


def test_a_supernet_of_another_teacher_is_named(project: Path, run_config: RunConfig, space: SearchSpace) -> None:
    teacher = load_teacher(project, run_config, CPU)
    wider = copy.deepcopy(teacher.blocks[1])
    wider.add_module("more", nn.Conv2d(3, 3, 1))
    other: CutTeacher = replace(teacher, blocks=(nn.Identity(), wider))
    with pytest.raises(SpaceMismatchError, match=r"block_1/supernet\.safetensors must belong to this teacher"):
        load_supernet(project, space.blocks[1], other)


def changed(project: Path, path: Path, kind: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    frame, facts = artifacts.load_table(project / path, kind)
    artifacts.save_table(project / path, kind, change(frame).reset_index(drop=True), facts)


FAULTS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "a path too few": (lambda frame: frame.iloc[:-1], r"must hold the block's \d+ paths, but lacks 1"),
    "another order": (lambda frame: frame.iloc[::-1], "holds others, or in another order"),
    "a path twice": (lambda frame: pd.concat([frame, frame.iloc[:1]]), "holds others, or in another order"),
}


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_rating_table_of_other_rows_is_named(
    project: Path, space: SearchSpace, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    changed(project, RATING, "ratings", change)
    with pytest.raises(ArtifactError, match=rf"{RATING} cannot be used\. .*{message}"):
        load_ratings(project, space)


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_cost_table_of_other_rows_is_named(
    project: Path, space: SearchSpace, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    changed(project, COUNTED, "counted", change)
    with pytest.raises(ArtifactError, match=rf"{COUNTED} cannot be used\. .*{message}"):
        load_costs(project, space, COUNTED_KINDS)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_rating_that_is_no_number_is_named(project: Path, space: SearchSpace, value: str) -> None:
    changed(project, RATING, "ratings", lambda frame: frame.assign(rating=float(value)))
    with pytest.raises(ArtifactError, match=rf"{RATING} cannot be used\. .* finite ratings, but path 0:0 has none"):
        load_ratings(project, space)


@pytest.mark.parametrize("column", ["path", "in_width"])
def test_times_of_other_rows_than_were_counted_are_named(project: Path, space: SearchSpace, column: str) -> None:
    changed(project, MEASURED, "measured", lambda frame: frame.assign(**{column: frame[column].iloc[0] * 2}))
    with pytest.raises(ArtifactError, match=rf"{MEASURED} must hold the paths of \S*{COUNTED}, but does not"):
        load_costs(project, space, KINDS)


def test_tables_come_back_as_they_were_saved(project: Path, space: SearchSpace) -> None:
    for block, rating, cost in zip(
        space.blocks,
        load_ratings(project, space),
        load_costs(project, space, KINDS),
        strict=True,
    ):
        frame, facts = artifacts.load_table(
            project / f"artifacts/rating/block_{block.block_id}/rating.parquet", "ratings"
        )
        assert rating.ratings == tuple(frame["rating"])
        assert (rating.block_id, rating.num_images) == (block.block_id, facts["num_images"])
        assert rating.paths == cost.paths == tuple(path.key for path in block.paths())
        assert all(price["latency_ms"] > 0 for price in cost.costs)


def test_without_a_latency_budget_no_time_is_read(project: Path, space: SearchSpace) -> None:
    for path in (project / "artifacts/cost/measured").iterdir():
        path.unlink()
    tables = load_costs(project, space, COUNTED_KINDS)
    assert all("latency_ms" not in cost for table in tables for cost in table.costs)
    assert all("latency_ms" not in cost for cost in load_outer_costs(project, COUNTED_KINDS))


def test_a_teacher_comes_back_in_pieces_that_nothing_trains(project: Path, run_config: RunConfig) -> None:
    teacher = load_teacher(project, run_config, CPU)
    assert [spec.in_shape for spec in teacher.specs] == [spec.in_shape for spec in load_specs(project)]
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())
    assert not any(module.training for module in (teacher.network, teacher.stem, *teacher.blocks, teacher.head))


def test_a_supernet_comes_back_in_eval_mode_with_its_weights(project: Path, run_config: RunConfig) -> None:
    network = supernet(project, run_config)
    tensors, _ = artifacts.load_tensors(project / "artifacts/distill/block_1/supernet.safetensors", "supernet")
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in network.state_dict().items())
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
