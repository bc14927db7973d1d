"""The teacher stage: what it saves and tells of the teacher besides its weights."""

import contextlib
from pathlib import Path

import pytest

from helixnas import artifacts
from helixnas.config import RunConfig
from helixnas.fit import accuracy
from helixnas.handover.parts import load_part
from helixnas.handover.setting import begin
from helixnas.handover.space import load_specs
from helixnas.handover.teacher import load_layer_losses, load_teacher, load_teacher_accuracy
from helixnas.results import LayerLoss
from helixnas.stages import teacher


def test_the_accuracy_that_is_saved_is_the_saved_teachers_on_the_rating_part(
    project: Path, run_config: RunConfig
) -> None:
    network = load_teacher(project, run_config, begin("teacher", run_config, 1).device).network
    part, told = load_part(project, "rating"), load_teacher_accuracy(project)
    assert told.top1_acc == accuracy(network, part)
    assert (told.num_images, told.num_classes) == (len(part), 10)


def test_every_layer_that_could_be_left_out_has_its_loss(project: Path) -> None:
    wanted = [(spec.block_id, name) for spec in load_specs(project) for name in spec.droppable]
    assert [(layer.block_id, layer.module) for layer in load_layer_losses(project)] == wanted
    assert wanted


def test_the_blocks_of_the_cut_know_what_they_cost(project: Path) -> None:
    assert all(spec.madds and spec.num_params for spec in load_specs(project))


def test_the_stage_ends_with_the_accuracy_and_a_line_where_layers_are_idle(
    project: Path, run_config: RunConfig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in (project / "artifacts/teacher").iterdir()}
    monkeypatch.setattr(teacher, "layer_losses", lambda *_: (LayerLoss(0, "layer1.1", 0.01), LayerLoss(0, "b", 1.0)))
    with contextlib.chdir(project):
        teacher.run(run_config)
    lines = capsys.readouterr().err.splitlines()
    assert str(load_teacher_accuracy(project)) in lines
    assert lines[-1].startswith("1 of 2 layers of the teacher hardly matter (layer1.1)")
    assert artifacts.load_json(project / "artifacts/teacher/layers.json", "layers")[0]["module"] == "layer1.1"
    changed = {
        path.name for path in (project / "artifacts/teacher").iterdir() if path.read_bytes() != before[path.name]
    }
    assert changed == {"layers.json"}  # all else is the same to the bit
