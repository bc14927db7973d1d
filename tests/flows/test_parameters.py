import shutil
from pathlib import Path

import pytest
import yaml

from flows.parameters import change
from helixnas.config import load
from helixnas.errors import ConfigError
from tests.conftest import ROOT


def test_an_override_is_written_and_the_comments_stay(project: Path) -> None:
    change(project, None, ["distill.lr=0.003", "search.budget.madds=20%"])
    assert load(project).distill.lr == 0.003
    assert load(project).search.budget["madds"] == "20%"
    assert "# 10^9 bytes of disk" in (project / "params.yaml").read_text()


@pytest.mark.parametrize("wrong", ["distil.lr=0.003", "distill.lr=-1", "distill.lr=fast"])
def test_an_override_that_cannot_work_changes_nothing(project: Path, wrong: str) -> None:
    before = (project / "params.yaml").read_bytes()
    with pytest.raises(ConfigError):
        change(project, None, ["seed=1", wrong])
    assert (project / "params.yaml").read_bytes() == before


def test_a_preset_fills_its_keys_and_leaves_the_others(project: Path) -> None:
    shutil.copytree(ROOT / "conf", project / "conf")
    lr = load(project).retrain.recipe.lr
    change(project, "tiny", ["seed=3"])
    config = load(project)
    assert (config.seed, config.retrain.recipe.epochs, config.retrain.recipe.lr) == (3, 2, lr)
    assert config.teacher.model_args == {"channels": [8, 16, 24, 32]}
    assert "# 10^9 bytes of disk" in (project / "params.yaml").read_text()


def test_arguments_of_another_teacher_do_not_survive_a_preset(project: Path) -> None:
    shutil.copytree(ROOT / "conf", project / "conf")
    change(project, None, ["+teacher.model_args.drop_rate=0.1"])
    change(project, "tiny", [])
    assert "drop_rate" not in load(project).teacher.model_args


@pytest.mark.parametrize(("value", "left"), [("{}", {}), ("{drop_rate:0.1}", {"drop_rate": 0.1})])
def test_arguments_of_another_teacher_do_not_survive_an_override(
    project: Path, value: str, left: dict[str, float]
) -> None:
    change(project, None, ["+teacher.model_args.width=2"])
    change(project, None, [f"teacher.model_args={value}"])
    assert load(project).teacher.model_args == left
    assert "# 10^9 bytes of disk" in (project / "params.yaml").read_text()


def test_an_unknown_preset_is_named_with_those_there_are(project: Path) -> None:
    shutil.copytree(ROOT / "conf", project / "conf")
    before = (project / "params.yaml").read_bytes()
    with pytest.raises(ConfigError, match=r"one of .*tiny.*'tinny'"):
        change(project, "tinny", [])
    assert (project / "params.yaml").read_bytes() == before


@pytest.mark.parametrize("content", [None, "seed: [1\n"])
def test_parameters_that_are_missing_or_no_yaml_are_told_before_a_preset_fills_them(
    project: Path, content: str | None
) -> None:
    shutil.copytree(ROOT / "conf", project / "conf")
    (project / "params.yaml").unlink()
    if content:
        (project / "params.yaml").write_text(content)
    for preset, overrides in (("tiny", []), (None, ["seed=1"])):
        with pytest.raises(ConfigError, match=r"params\.yaml"):
            change(project, preset, overrides)


ODD = [b"", b"- 1\n", b"seed: 1\nseed: 2\n", b"x: &a [*a]\n", b"\xff", b"seed: " + b"[" * 30_000, b"seed: !!int x\n"]


@pytest.mark.parametrize("content", ODD)
def test_a_preset_that_is_no_plain_mapping_is_named_and_changes_nothing(project: Path, content: bytes) -> None:
    (project / "conf/preset").mkdir(parents=True, exist_ok=True)
    (project / "conf/preset/odd.yaml").write_bytes(content)
    before = (project / "params.yaml").read_bytes()
    with pytest.raises(ConfigError, match=r"odd\.yaml must be plain YAML"):
        change(project, "odd", [])
    assert (project / "params.yaml").read_bytes() == before


@pytest.mark.parametrize("preset", sorted((ROOT / "conf/preset").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_makes_parameters_that_can_work(project: Path, preset: Path) -> None:
    shutil.copytree(ROOT / "conf", project / "conf")
    change(project, preset.stem, [])
    listed = yaml.safe_load((project / "params.yaml").read_text())
    assert listed.keys() == yaml.safe_load((ROOT / "params.yaml").read_text()).keys()
