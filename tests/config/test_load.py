"""params.yaml: every key known, every value possible, or one sentence that says what to do."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from helixnas.config import RunConfig, load
from helixnas.cost_kinds import known
from helixnas.errors import ConfigError
from tests.conftest import ROOT


def test_the_repositorys_own_parameters_load_and_are_frozen() -> None:
    config = load(ROOT)
    assert config.search.budget["madds"] == "18%"
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+distill.lrr=1", "distill.lrr must be a known key.*Did you mean 'lr'"),
        ("distil.lr=1", "^distil must be a known key.*Did you mean 'distill'"),
        ("retrain.recipe.augment.min_scael=1", r"^retrain\.recipe\.augment\.min_scael .*Did you mean 'min_scale'"),
        ("teacher.model_args.depth=3", r"append .* use \+teacher.model_args.depth=3"),
        ("+distill.x=1", r"^distill\.x must be .*Known here: augment, batch_size, "),
        ("distill.lr=-1", "distill.lr: .*greater than 0.*-1"),
        ("distill.lr=fast", "distill.lr: .*valid number.*'fast'"),
        ("distill.sampler=greedy", "distill.sampler: .*'fair' or 'uniform'.*'greedy'"),
        ("search.budget.madds=30x", "search.budget.madds"),
        ("search.budget.madds=-5", "search.budget.madds"),
        ("data.test_fraction=1.0", "data.test_fraction: .*less than 1"),
        ("teacher.block_ids=[0,1]", r"block_ids must count the 5 blocks as \[0, 1, 2, 3, 4\], but is \[0, 1\]"),
        ("search_space.cells=[{depth:1,widht:1}]", "Did you mean 'width'"),
        ("~seed", "seed must be set"),
        ("tracking.model_name=a/b", "tracking.model_name"),
        ("distill.updates=0", r"distill\.updates: .*greater than or equal to 1.*0"),
        ("rating.num_calibration_images=all", r"rating\.num_calibration_images: .*'auto'.*'all'"),
        ("distill.groups=0", r"distill\.groups: .*greater than or equal to 1.*0"),
        ("distill.groups=[0,1]", r"distill\.groups: .*valid integer.*\[0, 1\]"),
        ("teacher.features=disk", r"teacher\.features: .*'auto', 'cache' or 'stream'.*'disk'"),
        ("retrain.recipe.lr=fast", r"retrain\.recipe\.lr: .*'auto'.*'fast'"),
        ("retrain.recipe.lr=0", r"retrain\.recipe\.lr: .*greater than 0"),
        ("teacher.recipe.lr=auto", r"teacher\.recipe\.lr: .*valid number.*'auto'"),
        ("retrain.distillation.labels=-0.1", r"retrain\.distillation\.labels: .*greater than or equal to 0"),
        (
            "retrain.distillation={labels:0,logits:0,features:0,temperature:2}",
            r"^retrain\.distillation: labels, logits or features must be above 0",
        ),
        (
            "distill.augment={min_scale:0.8,hflip:0,rand_augment:null,random_erasing:0}",
            r"features is cache, .*augment\.min_scale must be 1, but is 0\.8; or set teacher\.features: stream",
        ),
    ],
)
def test_a_value_that_cannot_work_is_named_with_its_key(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(ROOT, ["teacher.features=cache", override])


def test_a_latency_budget_needs_measuring() -> None:
    with pytest.raises(
        ConfigError, match=r"budget\.latency_ms is set, so cost\.kinds must hold latency_ms, but is \['madds'\]"
    ):
        load(ROOT, ["search.budget.latency_ms=1.0", "cost.kinds=[madds]"])
    assert load(ROOT, []).searched_kinds == ["madds", "num_params"]
    assert load(ROOT, ["search.budget.latency_ms=1.0"]).searched_kinds == ["madds", "num_params", "latency_ms"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "cost.kinds=[madds,joules]",
            r"cost\.kinds.*must be a kind of cost: latency_ms, madds, num_params, peak",
        ),
        ("cost.kinds=[madds,madds]", r"cost\.kinds.*each value once"),
        ("cost.kinds=[num_params]", r"cost\.kinds.*must hold madds"),
        ("+search.budget.joules=3", r"search\.budget.*must be a kind of cost"),
    ],
)
def test_kinds_of_cost_are_those_that_there_are(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(ROOT, [override])


def test_a_teacher_from_the_registry_cannot_be_retrained_from_scratch() -> None:
    registered = "teacher.source='models:/teacher@champion'"
    assert load(ROOT, [registered]).retrain.init == "inherit"
    with pytest.raises(ConfigError, match=r"but models:/teacher@champion comes with them; set retrain\.init: inherit"):
        load(ROOT, [registered, "retrain.init=scratch"])


def test_a_recipe_takes_the_rate_that_was_found() -> None:
    recipe = load(ROOT, ["retrain.recipe.lr=auto", "retrain.recipe.epochs=7"]).retrain.recipe
    assert (recipe.at(0.125).lr, recipe.at(0.125).epochs) == (0.125, 7)


def test_a_folder_without_parameters_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path))):
        load(tmp_path)


LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"seed: [1\n", r"line 1"),
        (b"seed:\t0\n\tx: 1", r"'\\t'"),
        (b"- 1\n", "no mapping"),
        (b"5", "no mapping"),
        (b"", "no documents"),
        (b"# nothing\n", "no documents"),
        (b"seed: 1\n---\nseed: 1\n", "2 documents"),
        (b"\xff\xfe\x00", "utf-8"),
        (b"seed: \xe9\n", "utf-8"),
        (b"\0" * 9, "special characters"),
        (b"seed: ${nothing}\n", "line 1 has an interpolation"),
        (b"{a: {'${oc.env:HOME}': 1}}", "line 1 has an interpolation"),
        (b"seed: 1\nseed: 2\n", "duplicate key seed"),
        (b"seed: " + b"[" * 30_000, "nested more than 16 deep"),
        (b"x: " + b"{a: " * 10_000, "nested more than 16 deep"),
        ("".join(f"{' ' * i}a:\n" for i in range(300)).encode(), "nested more than 16 deep"),
        (b"seed: &a [*a]\n", r"\*a in line 1 repeats nothing"),
        (b"x: &a\n  y: *a\n", r"\*a in line 2 repeats nothing"),
        (b"seed: *a\n", r"\*a in line 1 repeats nothing"),
        (LAUGHS.encode(), "more than 10,000 values"),
        (b"x: [" + b"1," * 20_000 + b"]", "more than 10,000 values"),
        (b"#" * 100_000, "more than 65,536 bytes"),
        (b"seed: !!python/object/apply:os.getcwd []\n", "line 1 has the tag .*os.getcwd"),
        (b"seed: !!int x\n", "line 1 has the tag"),
        (b"seed: 0x_\n", "base 16"),
        (b"seed: " + b"9" * 5000, "4300 digits"),
        (b"seed: 1\nhydra: {searchpath: []}\n", "hydra in line 2 is a key of Hydra's"),
        (b"{'defaults': [x]}", "defaults in line 1 is a key of Hydra's"),
        (b"? [a]\n: 1\n", "unhashable key"),
        (b"null: 1\n", "ConfigCompositionException"),
    ],
)
def test_a_file_that_is_no_plain_mapping_is_refused(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(
        ConfigError, match=rf"params\.yaml must be plain YAML with known keys, but: .*{fault}"
    ) as caught:
        load(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_an_anchor_and_a_byte_order_mark_are_no_harm(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    assert text.count("  mean: null") == text.count("  std: null") == 1
    text = text.replace("  mean: null", "  mean: &none null").replace("  std: null", "  std: *none")
    (tmp_path / "params.yaml").write_text(f"\ufeff{text}")
    assert load(tmp_path) == load(ROOT)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "params.yaml")
    with pytest.raises(ConfigError, match=r"needs params\.yaml, but .* has none"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=" + "[" * 9000, "nested 9,000 deep"),
        ("seed=" + "1" * 20_000, "20,005 letters"),
        ("seed=${oc.env:HOME}", "interpolation"),
        ("seed=" + "9" * 5000, "4300 digits"),
        ("seed=1,2", "Ambiguous value"),
        ("seed=choice(1,2)", "Sweep"),
        ("seed", "EQUAL"),
        ("seed=\udcff", "plain YAML"),
        ("+hydra.x=1", "hydra must be a known key"),
        ("+defaults=[]", "defaults must be a known key"),
        ("+batch-size=1", "batch-size must be a known key"),
        ("=1", "must be a known key"),
        ("flow=1", "flow: must be a section, but is 1"),
    ],
)
def test_an_override_that_is_not_plain_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(ROOT, [override])
    assert len(str(caught.value)) < 500


def test_a_misspelt_key_is_told_once_and_not_as_missing_too(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("distill:", "distil:").replace("num_best:", "num_bets:"))
    with pytest.raises(ConfigError) as error:
        load(tmp_path)
    assert str(error.value).splitlines() == [
        "search.num_bets must be a known key of params.yaml, but is not. Did you mean 'num_best'?",
        "distil must be a known key of params.yaml, but is not. Did you mean 'distill'?",
    ]


def keys(value: object, prefix: str = "") -> set[str]:
    if not isinstance(value, dict):
        return {prefix}
    return {key for name, inner in value.items() for key in keys(inner, f"{prefix}.{name}" if prefix else name)}


def schema_keys(section: type[BaseModel], prefix: str = "") -> set[str]:
    found = set()
    for name, field in section.model_fields.items():
        key = f"{prefix}.{name}" if prefix else name
        is_section = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        found |= schema_keys(field.annotation, key) if is_section else {key}
    return found


def test_params_yaml_lists_every_key_of_the_schema_and_no_other() -> None:
    listed = keys(yaml.safe_load((ROOT / "params.yaml").read_text()))
    free = {"teacher.model_args", "search.budget"}  # whatever the user's model takes, any kind of cost
    assert set(load(ROOT).search.budget) == set(known())
    listed = {key for key in listed if not any(key.startswith(f"{name}.") for name in free)} | free
    assert listed == schema_keys(RunConfig)


def test_params_yaml_reads_the_same_for_every_parser() -> None:
    text = (ROOT / "params.yaml").read_text()
    assert "${" not in text  # DVC would store it unresolved
    plain = re.findall(r":\s*(yes|no|on|off|y|n|0\d+|\d+:\d+)\s*(?:#|$|[,}\]])", text, re.IGNORECASE)
    assert plain == []  # YAML 1.1 and 1.2 disagree on these
