"""Numbers are finite, bounded and of their own type, texts plain: each refusal names key, bound and value."""

import re
from copy import deepcopy
from typing import Any

import pytest
import yaml

from helixnas.config import load
from helixnas.config.load import check
from helixnas.errors import ConfigError
from tests.conftest import ROOT

WHOLE: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
NAN, INF = float("nan"), float("inf")
BUDGET = r"above 0 and at most 1e\+15, a share .* at most 1000%, or null"
TIMES = ("teacher", "rating", "cost", "search", "retrain", "compare", "export", "report", "distill")

REFUSED: dict[str, tuple[list[Any], str]] = {
    "seed": ([-1, 2**31, True, 1.0, "0", None, 10**4000], ""),
    "num_loaders": ([-1, 65, True, "4", None], ""),
    "data.path": (["", "a\0b", "a" * 256, 7, None], ""),
    "data.source": (["factory:..:x", "factory:a:1", "torchvision:" + "a" * 1000, "files"], "must be folder, parquet"),
    "data.image_size": ([0, 30_000, 10**6, True, "28", 28.0, None], ""),
    "data.channels": ([0, -3, 65, True, "3"], ""),
    "data.mean": ([[NAN], [1.5], [-0.1], [True], ["0.5"], 0.5, [0.5] * 65], ""),
    "data.std": ([[0], [INF], [1e-9], [1e300]], ""),
    "data.test_fraction": ([0, 1, NAN, "0.5", True], ""),
    "data.max_unreadable": ([-0.1, 1.1, NAN], ""),
    "teacher.source": (["timm:a b", "models:/a/" + "9" * 30, "models:/a/\u0663"], "must be timm:NAME"),
    "teacher.model_args": ([[], 1, None], ""),
    "teacher.blocks": ([0, 101, True, 2.0, [[1]], [[]]], ""),
    "teacher.cache_gb": ([0, INF, 1e300, True], ""),
    "teacher.recipe.epochs": (["20", 10**9, -1, 1e300, True], ""),
    "teacher.recipe.batch_size": ([0, 10**12, "64"], ""),
    "teacher.recipe.optimizer": (["", " ", "a\nb", 3], ""),
    "teacher.recipe.lr": ([0, -1, NAN, INF, 1e300, True, "0.1", None], ""),
    "teacher.recipe.weight_decay": ([-1, INF, 1e300, True], ""),
    "teacher.recipe.label_smoothing": ([1, -0.1, NAN], ""),
    "teacher.recipe.ema_decay": ([1, -0.1, NAN], ""),
    "distill.augment.min_scale": ([0, 1e-9, 1.1, True], ""),
    "distill.augment.rand_augment": (["bogus", "rand-x9", "rand-n99999", 9], ""),
    "search_space.kernels": ([[], [2], [11], [True], [3.0], [3, 3], 3], ""),
    "search_space.expansions": ([[], [1e9], [1e-9], [0], [NAN], [1.0000001], [2, 2.0], [True]], ""),
    "search_space.se_ratio": ([-1, 1e-9, 2], ""),
    "search_space.mlp_ratios": ([[1e9], [1e-9]], ""),
    "search_space.attention": ([[0], [2]], ""),
    "search_space.operations": ([["own:Big"], ["..:f"], ["f"]], "must be package.module:function"),
    "search_space.cells": ([[{"depth": 9, "width": 1}], [{"depth": 1, "width": 1e-9}]], ""),
    "distill.updates": ([0, 10**9, "5"], ""),
    "distill.groups": ([0, 10**9], ""),
    "rating.num_calibration_images": ([1, 10**12, "all", True], ""),
    "rating.memory_mib": ([0, 10**12], ""),
    "cost.latency.num_rounds": ([-1, 10**9], ""),
    "cost.latency.quantile": ([-0.1, 1.1, NAN], ""),
    "search.budget.madds": (
        [0, -5, True, INF, NAN, 1e300, "30", "0%", "-1%", "1001%", "\u0663\u0660%", "1e2%"],
        BUDGET,
    ),
    "search.num_best": ([0, 10**9], ""),
    "search.measured": ([-1, 10**9, True, None], ""),
    "search.trained": ([-1, 10**9, "all"], ""),
    "search.rungs": ([[], [0, 1], [1, 3, 10], [1, 1], [3, 1], [True], 3], ""),
    "search.fallback": (["never", "", True, None], ""),
    "search.time_limit_s": ([0, INF, 1e300], ""),
    "retrain.recipe.lr": (["fast", True, None, 0, 1e300], ""),
    "retrain.distillation.labels": ([-1, INF, True], ""),
    "retrain.distillation.temperature": ([0, 1e-9, INF], ""),
    "compare.random": ([-1, 10**9], ""),
    "tracking.experiment": (["", "  ", "a\nb", "a\x07", "\u202e", "b" * 1000, 5, None], ""),
    "tracking.model_name": (["", "  ", " a", "a\nb", "a@b", "b" * 1000, 5, None], ""),
    "flow.num_workers": ([0, 17, True, "2", 2.0], ""),
} | {f"{section}.num_threads": ([0, 10**6, 10**12, True, 1.0, "1", None], "") for section in TIMES}


def given(key: str, value: Any) -> dict[str, Any]:
    """The repository's parameters with another value at a key."""
    whole = deepcopy(WHOLE)
    *sections, last = key.split(".")
    inner = whole
    for section in sections:
        inner = inner[section]
    inner[last] = value
    return whole


def message(values: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        check(values)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, (values, _) in REFUSED.items() for value in values])
def test_a_value_of_another_type_or_out_of_bounds_is_named_with_its_bound(key: str, value: Any) -> None:
    shown = rf"{re.escape(key)}(\.\w+)*: .*{REFUSED[key][1]}.*, but is .+\. Change it in params\.yaml\.$"
    said = message(given(key, value))
    assert re.search(shown, said)
    assert len(said) < 600


@pytest.mark.parametrize(("key", "value"), [("distill.lr", 1), ("retrain.recipe.lr", 1), ("search.budget.madds", 5)])
def test_an_integer_may_stand_for_a_float(key: str, value: int) -> None:
    check(given(key, value))
    load(ROOT, [f"{key}={value}"])


@pytest.mark.parametrize("value", [NAN, INF, {"a": 1}, [1.5], [[1]], [None]])
def test_arguments_of_the_teacher_are_plain_and_finite(value: Any) -> None:
    said = message(given("teacher.model_args", {"x-y": value}))
    assert said.startswith("teacher.model_args.x-y: must be a finite number, a text, true, false, null, or a list of")


def test_a_key_with_a_hyphen_or_a_line_break_is_named() -> None:
    for key, shown in (("batch-size", "batch-size"), ("a\nb", r"a\nb"), ("k" * 999, "k" * 200)):
        assert message(given(key, 1)).startswith(f"{shown} must be a known key of params.yaml, but is not.")


def test_many_faults_are_told_in_few_lines() -> None:
    with pytest.raises(ConfigError) as caught:
        check({f"k{i}": 1 for i in range(1000)})
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert re.fullmatch(r"And 1,?\d+ more\.", lines[-1])
