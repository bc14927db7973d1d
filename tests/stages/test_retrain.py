"""The retrain stage: a rate that is found once, the better of before and after, and a start that knows nothing."""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from flows.parameters import change
from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import load
from helixnas.errors import ConfigError
from helixnas.handover.space import load_space
from helixnas.handover.student import load_retraining, load_student
from helixnas.handover.teacher import load_teacher
from helixnas.progress import Reporter
from helixnas.stages import custom, data, retrain, search_space, teacher
from tests.project import new_project


def run(root: Path, *overrides: str) -> dict[str, bytes]:
    """The stage once more, and the files that it made."""
    shutil.rmtree(root / folder("retrain"), ignore_errors=True)
    with contextlib.chdir(root):
        retrain.run(load(root, overrides))
    return {path.name: path.read_bytes() for path in (root / folder("retrain")).iterdir()}


def value(root: Path, name: str, kind: str) -> dict[str, Any]:
    return dict(artifacts.load_json(root / folder("retrain") / name, kind))


def choose(root: Path, arch_id: str) -> None:
    artifacts.save_json(root / folder("search") / "chosen.json", "chosen", {"arch_id": arch_id})


AUTO = ["retrain.recipe.lr=auto", "retrain.recipe.epochs=2"]


def test_the_rate_is_found_told_and_kept(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, *AUTO)
    test = value(project, "lr.json", "lr")
    assert test["lr"] in dict(test["losses"])
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("retrain.recipe.lr: auto takes")]
    assert len(told) == 1
    assert f"{test['lr']:g}" in told[0]


def test_a_rate_that_is_given_needs_no_test(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "lr.json" not in run(project)
    assert "auto" not in capsys.readouterr().err


@pytest.mark.parametrize("num_left", [31, 12])  # of 32 steps: in the first epoch, and after a checkpoint
def test_a_half_done_training_ends_the_same_and_repeats_no_test(
    project: Path, monkeypatch: pytest.MonkeyPatch, num_left: int
) -> None:
    whole = run(project, *AUTO)

    def interrupt(reporter: Reporter, done: int, total: int) -> None:
        if total - done == num_left:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Reporter, "__call__", interrupt)
        run(project, *AUTO)
    monkeypatch.setattr("helixnas.retrain.train.range_test", None)
    assert run(project, *AUTO) == whole
    assert not [path for path in (project / ".cache/resume").iterdir() if path.name.startswith("retrain")]


def test_a_student_that_retraining_made_worse_stays_as_it_was(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choose(project, "0:0-0:0")  # the teacher itself
    run(project, "retrain.recipe.lr=3", "retrain.recipe.warmup_epochs=0")
    arch = value(project, "arch.json", "arch")
    assert arch["kept"] == "initial"
    assert arch["initial_acc"] > arch["retrained_acc"]
    initial, student = (weights(project / folder("retrain") / f"{name}.safetensors") for name in ("initial", "student"))
    assert all(torch.equal(tensor, student[name]) for name, tensor in initial.items())
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("Retraining made the student"))
    assert f"{100 * arch['initial_acc']:.2f} % of the rating images before, {100 * arch['retrained_acc']:.2f} %" in line
    assert line.endswith("Change retrain.recipe.lr or retrain.distillation.")
    assert load_retraining(project).warning == line


def test_a_student_that_is_better_goes_on(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, "retrain.recipe.epochs=3")
    arch = value(project, "arch.json", "arch")
    assert arch["kept"] == "retrained"
    assert arch["retrained_acc"] > arch["initial_acc"]
    assert "worse" not in capsys.readouterr().err
    initial, student = (weights(project / folder("retrain") / f"{name}.safetensors") for name in ("initial", "student"))
    assert not any(torch.equal(initial[name], tensor) for name, tensor in student.items() if tensor.ndim > 1)


def weights(path: Path) -> dict[str, Tensor]:
    return artifacts.load_tensors(path, path.stem if path.stem == "teacher" else "student")[0]


VIT = ("timm:vit_tiny_patch16_224", {"img_size": 16, "patch_size": 4, "embed_dim": 48, "depth": 3, "num_heads": 3})
CONVNEXT = ("timm:convnext_atto", {"dims": [8, 16, 24, 32], "depths": [1, 1, 2, 1]})
RESNET = ("timm:resnet18", {"channels": [8, 16, 24, 32]})
SCRATCH = ["retrain.init=scratch", "retrain.recipe.epochs=0"]


def taught(root: Path, source: str, model_args: dict[str, object], overrides: Sequence[str] = ()) -> Path:
    """A project with a trained teacher that stands in for its own student."""
    new_project(root)
    made = {"source": source, "model_args": model_args, "blocks": "auto", "block_ids": [0, 1]}
    (root / "conf/preset/mine.yaml").write_text(yaml.safe_dump({"teacher": made}))
    change(root, "mine", ["data.image_size=16", *overrides])
    with contextlib.chdir(root):
        custom.run(load(root))
        data.run(load(root))
        teacher.run(load(root))
        search_space.run(load(root))
    choose(root, "0:0-0:0")
    return root


def is_constant(tensor: Tensor) -> bool:
    return bool((tensor == tensor.flatten()[:1]).all())


@pytest.mark.parametrize(
    ("source", "model_args", "easily_missed"),
    [(*VIT, ("cls_token", "pos_embed")), (*CONVNEXT, ("gamma",)), (*RESNET, ())],
    ids=["vit", "convnext", "resnet"],
)
def test_from_scratch_nothing_of_the_trained_teacher_is_left(
    tmp_path: Path, source: str, model_args: dict[str, object], easily_missed: tuple[str, ...]
) -> None:
    root = taught(tmp_path, source, model_args, ["data.image_size=32"] if source == CONVNEXT[0] else [])
    run(root, *SCRATCH)
    trained = weights(root / folder("teacher") / "teacher.safetensors")
    for name in easily_missed:  # training has moved them, so that a leak can be told from a constant
        assert any(name in key and not is_constant(tensor) for key, tensor in trained.items())
    config = load(root)
    cut = load_teacher(root, config, torch.device("cpu"))
    student = load_student(root, config, cut, "initial")
    for name, parameter in student.named_parameters():
        known = [tensor for tensor in trained.values() if tensor.shape == parameter.shape]
        assert is_constant(parameter) or not any(torch.equal(parameter, tensor) for tensor in known), name


def test_from_scratch_repeats_by_seed(tmp_path: Path) -> None:
    root = taught(tmp_path, *VIT)
    first, again, other = (run(root, *SCRATCH, f"seed={seed}")["initial.safetensors"] for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_from_scratch_a_space_with_widths_of_its_own_starts_alive(tmp_path: Path) -> None:
    blocks = ["teacher.block_ids=[0,1,2]", "teacher.blocks=[[layer1,layer2],[layer3],[layer4]]"]
    root = taught(tmp_path, *RESNET, ["search_space.name=nats_size", *blocks])
    space = load_space(root, load(root))
    choose(root, "-".join(next(iter(block.paths())).key for block in space.blocks))
    run(root, "retrain.init=scratch")  # and trains, though its features are none of the teacher's
    student = weights(root / folder("retrain") / "initial.safetensors")
    dead = [name for name, tensor in student.items() if tensor.ndim > 1 and not tensor.any()]
    assert dead == []


FACTORY = """
import torch
from timm import create_model

def network():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return create_model("resnet18", channels=[8, 16, 24, 32], in_chans=1, num_classes=10)
"""


def test_a_factory_that_brings_its_own_weights_cannot_start_from_scratch(tmp_path: Path) -> None:
    (tmp_path / "brought.py").write_text(FACTORY)
    root = taught(tmp_path, "factory:brought:network", {}, ["teacher.recipe.epochs=0"])
    with pytest.raises(ConfigError, match=r"factory:brought:network must make .* but its conv1\.weight is the trained"):
        run(root, *SCRATCH)
