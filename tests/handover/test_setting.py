"""What a stage starts with: device, threads and seed; a curve that survives kills; a place to resume from."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from helixnas import artifacts, source
from helixnas.config import RunConfig, load
from helixnas.errors import ConfigError
from helixnas.handover.setting import Curve, Resumable, Setting, begin, clear, environment_facts
from helixnas.progress import Reporter
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def setting(root: Path, name: str = "distill@1", *overrides: str) -> Setting:
    progress = Reporter(name, root / "progress")
    return Setting(name, load(ROOT, overrides), root, torch.device("cpu"), 0, progress)


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "weights", tmp_path / "images"]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


SECTIONS = ["teacher", "distill"]


def rows(curve: Curve, tmp_path: Path) -> list[str]:
    curve.save(tmp_path / "curve.csv")
    header, *lines, seal = (tmp_path / "curve.csv").read_text().splitlines()
    assert header == "step,name,value"
    assert seal.startswith("# ")
    return lines


def test_a_curve_is_saved_by_name_and_step_to_the_last_bit(tmp_path: Path) -> None:
    curve = Curve()
    for point in [("b", 0.1 + 0.2, 10), ("b", 1e-300, 9), ("a", float("nan"), 0), ("b", 2.0, 100)]:
        curve(*point)
    assert rows(curve, tmp_path) == ["0,a,nan", "9,b,1e-300", "10,b,0.30000000000000004", "100,b,2.0"]
    assert artifacts.load_csv(tmp_path / "curve.csv", "curve")["value"].tolist()[1:] == [1e-300, 0.1 + 0.2, 2.0]


def test_a_curve_without_a_point_is_a_header(tmp_path: Path) -> None:
    assert rows(Curve(), tmp_path) == []
    assert artifacts.load_csv(tmp_path / "curve.csv", "curve").empty


def test_a_curve_goes_on_from_the_checkpoint_that_its_training_goes_on_from(tmp_path: Path) -> None:
    curve = Curve()
    for epoch in (0, 1):
        curve("loss", 0.5, epoch)
        Resumable(tmp_path / "checkpoint.pt", curve).save({"epoch": epoch + 1})
    curve("loss", float("inf"), 2)  # the epoch that a kill cut short, and that is run again
    curve = Curve()
    assert Resumable(tmp_path / "checkpoint.pt", curve).load() == {"epoch": 2}
    curve("loss", 0.25, 2)
    assert rows(curve, tmp_path) == ["0,loss,0.5", "1,loss,0.5", "2,loss,0.25"]


def test_without_a_whole_checkpoint_curve_and_training_start_afresh(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curve, path = Curve(), tmp_path / "checkpoint.pt"
    assert Resumable(path, curve).load() is None
    curve("loss", 0.5, 0)
    Resumable(path, curve).save({"epoch": 1})
    path.write_bytes(path.read_bytes()[:-1])
    curve = Curve()
    assert Resumable(path, curve).load() is None
    assert "checkpoint.pt cannot be read" in capsys.readouterr().err
    assert rows(curve, tmp_path) == []


def test_an_epoch_that_is_run_again_replaces_its_point(tmp_path: Path) -> None:
    curve = Curve()
    curve("loss", 1.0, 0)
    curve("loss", 2.0, 0)
    assert rows(curve, tmp_path) == ["0,loss,2.0"]


def test_the_same_work_finds_its_resume_folder_again(tmp_path: Path, inputs: list[Path]) -> None:
    first = setting(tmp_path).resume_folder(SECTIONS, inputs)
    assert first == setting(tmp_path).resume_folder(SECTIONS, inputs)
    assert first.parent == tmp_path / ".cache" / "resume"
    assert first.name.startswith("distill@1-")
    assert not first.exists()


@pytest.mark.parametrize(
    "changed",
    [
        lambda root: setting(root, "distill@2"),
        lambda root: setting(root, "distill@1", "seed=1"),
        lambda root: setting(root, "distill@1", "distill.lr=0.5"),
        lambda root: setting(root, "distill@1", "teacher.recipe.augment.hflip=0.25"),
    ],
)
def test_other_work_resumes_elsewhere(tmp_path: Path, inputs: list[Path], changed: object) -> None:
    wanted = setting(tmp_path).resume_folder(SECTIONS, inputs)
    assert changed(tmp_path).resume_folder(SECTIONS, inputs) != wanted  # type: ignore[operator]


def test_other_inputs_or_other_code_resume_elsewhere(
    tmp_path: Path, inputs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [setting(tmp_path).resume_folder(SECTIONS, inputs)]
    folders.append(setting(tmp_path).resume_folder(SECTIONS, inputs[:1]))
    inputs[1].write_bytes(b"image!")
    folders.append(setting(tmp_path).resume_folder(SECTIONS, inputs))
    (tmp_path / "artifacts/custom").mkdir(parents=True)
    (tmp_path / "artifacts/custom/teacher.json").write_text("the digest of custom code")
    folders.append(setting(tmp_path).resume_folder(SECTIONS, inputs))
    package = shutil.copytree(source.PACKAGE, tmp_path / "helixnas", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("helixnas.source.PACKAGE", package)
    (package / "report/page.py").write_text("# code that distilling does not run")
    assert setting(tmp_path).resume_folder(SECTIONS, inputs) == folders[-1]
    with (package / "distill/train.py").open("a") as file:
        file.write("# code that distilling runs")
    folders.append(setting(tmp_path).resume_folder(SECTIONS, inputs))
    assert len(set(folders)) == 5


def test_parameters_that_the_work_does_not_read_do_not_matter(tmp_path: Path, inputs: list[Path]) -> None:
    other = setting(tmp_path, "distill@1", "search.num_best=3", "tracking.model_name=other")
    assert other.resume_folder(SECTIONS, inputs) == setting(tmp_path).resume_folder(SECTIONS, inputs)


def test_a_cleared_folder_is_gone_and_may_be_cleared_again(tmp_path: Path) -> None:
    resume = tmp_path / "resume" / "distill@1-0"
    (resume / "folder").mkdir(parents=True)  # put there by mistake
    for name in ("checkpoint.pt", "lr.json", ".checkpoint.pt.abc.tmp"):  # the last is a kill's litter
        (resume / name).touch()
    for _ in range(2):
        clear(resume)
        assert list((tmp_path / "resume").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "out"), [("teacher", "artifacts/teacher"), ("distill@12", "artifacts/distill/block_12")]
)
def test_a_stage_writes_into_its_own_folder(tmp_path: Path, name: str, out: str) -> None:
    assert setting(tmp_path, name).out == tmp_path / out


def test_a_stage_begins_with_the_threads_asked_and_kernels_that_repeat(config: RunConfig, tmp_path: Path) -> None:
    begun = begin("teacher", config, 2, tmp_path)
    assert torch.get_num_threads() == 2
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark
    assert (begun.name, begun.root, begun.config) == ("teacher", tmp_path, config)


def test_every_stage_has_a_seed_of_its_own_that_the_runs_seed_decides() -> None:
    names = ("teacher", "distill@0", "distill@1", "rating@0")
    seeds = {seed: [begin(name, load(ROOT, [f"seed={seed}"]), 1).seed for name in names] for seed in (0, 1)}
    assert seeds[0] == [begin(name, load(ROOT), 1).seed for name in names]
    assert len({*seeds[0], *seeds[1]}) == 8


@pytest.mark.parametrize(
    ("asked", "has_cuda", "device"),
    [
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_the_device_is_the_one_asked_or_the_best_there_is(
    monkeypatch: pytest.MonkeyPatch, asked: str, has_cuda: bool, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    assert begin("data", load(ROOT, [f"device={asked}"]), 1).device == torch.device(device)


def test_a_gpu_that_is_asked_for_and_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"device is 'cuda', so torch must see a GPU.*Set device: auto"):
        begin("data", load(ROOT, ["device=cuda"]), 1)


def test_the_report_is_told_of_version_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert environment_facts()["omp_num_threads"] == "unset"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert environment_facts()["omp_num_threads"] == "7"
    assert environment_facts()["helixnas"]
