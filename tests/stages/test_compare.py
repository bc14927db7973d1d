"""The compare stage: the teacher's own weights, trained as the chosen student is, resumed to the same bytes."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from flows.parameters import change
from helixnas import artifacts
from helixnas.compare import Rival
from helixnas.config import load
from helixnas.fit import Checkpoint
from helixnas.handover.parts import load_part
from helixnas.handover.space import load_space
from helixnas.handover.student import load_rival, load_rivals, load_student, load_supernet
from helixnas.handover.tables import load_search_result
from helixnas.handover.teacher import load_teacher
from helixnas.stages import compare, report
from helixnas.student import BlockSupernet
from tests.costs import three

OUT = Path("artifacts/compare")
RESUME = ".cache/resume/compare-*/checkpoint.pt"


def run(root: Path, *overrides: str) -> list[Rival]:
    """The stage as DVC runs it, which removes a stage's outputs first."""
    change(root, None, list(overrides))
    shutil.rmtree(root / OUT, ignore_errors=True)
    config = load(root)
    with contextlib.chdir(root):
        compare.run(config)
    return list(load_rivals(root))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in (root / OUT).rglob("*") if path.is_file()}


def choose(root: Path, arch_id: str) -> None:
    artifacts.save_json(root / "artifacts/search/chosen.json", "chosen", {"arch_id": arch_id})


def test_the_way_with_the_lowest_loss_is_retrained_and_no_other(finished: Path) -> None:
    rivals = load_rivals(finished)
    losses = {rival.key: rival.before.val_loss for rival in rivals if rival.before}
    assert len(losses) == len(rivals) == 2
    assert [rival.key for rival in rivals if rival.after] == [min(losses, key=lambda key: losses[key])]
    trained = {path.parent.name for path in (finished / OUT).rglob("student.safetensors")}
    assert trained == {rival.key for rival in rivals if rival.has_weights}


def test_an_untrained_way_has_the_teachers_weights_and_no_distilled_one(finished: Path) -> None:
    config = load(finished)
    space = load_space(finished, config)
    teacher = load_teacher(finished, config, torch.device("cpu"))
    rival = next(rival for rival in load_rivals(finished) if rival.after)
    weights, facts = artifacts.load_tensors(finished / OUT / rival.key / "initial.safetensors", "student")
    assert facts["arch_id"] == rival.arch_id
    differences = 0
    for path in space.parse(rival.arch_id).paths:
        block = space.blocks[path.block_id]
        fresh = BlockSupernet(block, teacher.blocks[path.block_id]).operations(path)[0].state_dict()
        distilled = load_supernet(finished, space.blocks[path.block_id], teacher).operations(path)[0].state_dict()
        for name, value in fresh.items():
            if "running" not in name and "num_batches" not in name:
                assert torch.equal(weights[f"blocks.{path.block_id}.0.{name}"], value)
                differences += not torch.equal(value, distilled[name])
    assert differences  # else the distilled weights would have passed, too


def test_what_is_retrained_is_retrained_exactly_as_the_chosen_student(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chosen architecture with its distilled weights, as if it were a random one, ends with the same bytes."""
    arch_id = artifacts.load_json(project / "artifacts/retrain/arch.json", "arch")["arch_id"]
    same = Rival("random_0", "random 1", arch_id, three(1, 1))
    monkeypatch.setattr(compare, "random_rivals", lambda *_: (same,))
    choose(project, "0:0-0:0")
    rivals = run(project, "compare.random=1", "compare.num_retrained=0")
    assert [rival.key for rival in rivals if rival.after] == ["random_0"]
    for name in ("initial.safetensors", "student.safetensors"):
        ours, _ = artifacts.load_tensors(project / OUT / "random_0" / name, "student")
        theirs, _ = artifacts.load_tensors(project / "artifacts/retrain" / name, "student")
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def test_a_way_that_was_chosen_is_measured_but_not_trained_again(project: Path) -> None:
    best = next(rival for rival in load_rivals(project) if rival.after)
    choose(project, best.arch_id)
    chosen, other = sorted(run(project), key=lambda rival: not rival.is_chosen)
    assert (chosen.arch_id, chosen.is_chosen, chosen.after) == (best.arch_id, True, None)
    assert chosen.before == best.before
    assert other.after is not None  # the best of those that are left
    assert not other.is_chosen
    assert [path.name for path in (project / OUT / chosen.key).iterdir()] == ["initial.safetensors"]


@pytest.mark.parametrize("num_epochs", [1, 2, 3])
def test_a_killed_stage_goes_on_to_the_same_bytes(
    project: Path, monkeypatch: pytest.MonkeyPatch, num_epochs: int
) -> None:
    """Two ways of two epochs, killed in the first way, between the two, and in the second."""
    overrides = ("compare.num_retrained=2", "retrain.recipe.epochs=2")
    saved: list[Path] = []
    save = Checkpoint.save

    def counting(checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        save(checkpoint, state)
        saved.append(project)
        if len(saved) == num_epochs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", counting)
        with pytest.raises(KeyboardInterrupt):
            run(project, *overrides)
        assert list(project.glob(RESUME))
        run(project, *overrides)
    assert len(saved) == 4  # no epoch was trained twice
    assert not list(project.glob(RESUME))
    resumed = contents(project)
    run(project, *overrides)
    assert resumed == contents(project)
    assert len(resumed) == 5


def test_the_chosen_architecture_stands_beside_itself_without_its_distilling_and_from_scratch(project: Path) -> None:
    rivals = run(project, "compare.num_retrained=0", "compare.undistilled=true", "compare.from_scratch=true")
    chosen = artifacts.load_json(project / "artifacts/search/chosen.json", "chosen")["arch_id"]
    undistilled, scratch = (rival for rival in rivals if rival.after)
    assert (undistilled.kind, scratch.kind) == ("undistilled", "scratch")
    assert undistilled.arch_id == scratch.arch_id == chosen
    assert not undistilled.is_chosen
    config = load(project)
    space = load_space(project, config)
    teacher = load_teacher(project, config, torch.device("cpu"))
    distilled, fresh, anew = (
        network.state_dict()
        for network in (
            load_student(project, config, teacher, "initial"),
            *(load_rival(project, space, teacher, rival, "initial") for rival in (undistilled, scratch)),
        )
    )
    assert undistilled.cost["madds"] == load_search_result(project, space).chosen.cost["madds"]
    heads = [name for name in distilled if name.startswith("head") and "weight" in name]
    assert all(torch.equal(distilled[name], fresh[name]) and not torch.equal(fresh[name], anew[name]) for name in heads)
    bodies = [name for name in distilled if name.startswith("blocks") and name.endswith("weight")]
    assert any(not torch.equal(distilled[name], fresh[name]) for name in bodies)
    assert any(not torch.equal(fresh[name], anew[name]) for name in bodies)


def test_switched_off_it_leaves_an_empty_result_and_needs_nothing(project: Path) -> None:
    shutil.rmtree(project / "artifacts/teacher")
    assert run(project, "compare.enabled=false") == []
    assert list(contents(project)) == [str(OUT / "results.json")]


def test_the_report_stands_on_what_it_finds(project: Path) -> None:
    """Switched off, and where an obvious way was chosen: the page says so."""
    run(project, "compare.enabled=false")
    assert "No obvious way was trained" in page(project)
    best = next(rival for rival in run(project, "compare.enabled=true") if rival.after)
    choose(project, best.arch_id)
    run(project)
    text = page(project)
    assert f"The chosen student is itself an obvious way, {best.name}." in text
    assert "not trained twice" in text


def page(root: Path) -> str:
    with contextlib.chdir(root):
        report.run(load(root))
    return (root / "artifacts/report/report.html").read_text().rpartition("beside-section")[2]


def test_the_figures_are_counted_image_by_image_on_the_test_part(finished: Path) -> None:
    figures = json.loads((finished / "artifacts/report/figures.json").read_text())["value"]
    config, test = load(finished), load_part(finished, "test")
    space, teacher = load_space(finished, config), load_teacher(finished, config, torch.device("cpu"))
    (compared,) = figures["comparisons"]
    (rival,) = (rival for rival in load_rivals(finished) if rival.after)
    networks = [load_rival(finished, space, teacher, rival, name) for name in ("initial", "student")]
    networks.append(load_student(finished, config, teacher, "student"))
    with torch.no_grad():
        before, after, student = (
            (network(test.normalized()).argmax(dim=1) == test.labels).tolist() for network in networks
        )
    assert compared["untrained_acc"] == pytest.approx(sum(before) / len(test))
    assert compared["figure"]["top1_acc"] == pytest.approx(sum(after) / len(test))
    assert compared["num_student_only"] == sum(s and not a for s, a in zip(student, after, strict=True))
    assert compared["num_other_only"] == sum(a and not s for s, a in zip(student, after, strict=True))
    assert compared["figure"]["cost"]["madds"] == rival.cost["madds"]  # as the tables sum it
    assert (compared["excess"], compared["is_chosen"]) == (0, False)
