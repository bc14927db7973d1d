from pathlib import Path

import mlflow
import mlflow.pytorch
import numpy as np
import pytest
import torch
from torch import nn

from helixnas.errors import ArtifactError, PromotionError
from helixnas.teacher import load_program
from helixnas.tracking import Store, Student, begin, fetch_program, load_model, register, versions
from helixnas.tracking.versions import get, tags
from tests.costs import three
from tests.test_archive import changed, pickled_example
from tests.tracking.conftest import FACTS, NAME, Add, Brightness, evaluate, example, figures, images


def test_a_new_version_carries_what_a_judge_needs(add: Add, store: Store) -> None:
    version = add("a")
    assert (version.version, version.is_new, version.aliases) == (1, True, ("challenger",))
    assert (version.arch_id, version.top1_acc, version.cost) == (
        "0:0",
        0.9,
        three(100, 10, 1.5),
    )
    entity = store.client.get_model_version(NAME, "1")
    assert entity.tags["git_commit"] == "c0ffee"
    assert entity.tags["budget"] == "madds <= 200"


def test_the_same_student_is_registered_once(add: Add, store: Store) -> None:
    first, again = add("a"), add("a")
    assert (again.version, again.is_new) == (first.version, False)
    assert len(versions(store, NAME)) == 1


def test_a_known_student_is_not_built_again(add: Add, store: Store) -> None:
    made = add("a")

    def build() -> Student:
        raise AssertionError("the module was built, though its version exists")

    register(store, NAME, build, figures=figures(), dvc_md5=made.dvc_md5, commit="c0ffee", run_id="none")


def test_a_known_student_under_new_figures_carries_these_and_its_first_commit(add: Add, store: Store) -> None:
    made = add("a")
    taken = {"figures": figures(madds=100, latency_ms=9.5), "dvc_md5": made.dvc_md5, "commit": "1a7e4"}
    assert register(store, NAME, lambda: pytest.fail("built"), **taken, run_id="none").cost["latency_ms"] == 9.5
    assert store.client.get_model_version(NAME, "1").tags["git_commit"] == "c0ffee"


def test_a_student_that_comes_back_is_the_challenger_again(add: Add) -> None:
    add("a")
    add("b")
    assert add("a").aliases == ("challenger",)


def test_an_unmeasured_latency_has_no_tag_and_reads_as_none(store: Store) -> None:
    values = tags(figures(latency_ms=None), "f" * 32)
    assert "latency_ms" not in values
    store.client.create_registered_model(NAME)
    store.client.create_model_version(NAME, "file:///nowhere", tags=values)
    assert get(store, NAME, 1).cost == three(100, 10, None)


def test_a_model_that_does_not_exist_has_no_versions(store: Store) -> None:
    assert versions(store, "nothing") == []


def test_a_version_that_others_registered_is_not_ours(add: Add, store: Store) -> None:
    add("a")
    store.client.create_model_version(NAME, "file:///elsewhere")
    assert [version.version for version in versions(store, NAME)] == [1]
    with pytest.raises(PromotionError, match=r"Version 2 of student .* There are: 1"):
        get(store, NAME, 2)


def test_five_images_are_predicted_by_a_graph_made_from_two(add: Add, store: Store) -> None:
    add("a")
    loaded = load_model(store, NAME, "challenger")
    inputs = images(5)[0].float() / 255
    torch.testing.assert_close(loaded.module(inputs), Brightness()(inputs))
    assert loaded.facts == FACTS


def test_a_batch_of_one_is_predicted_too(add: Add, store: Store) -> None:
    add("a")
    assert load_model(store, NAME, "challenger").module(torch.zeros(1, 1, 8, 8)).shape == (1, 2)


def test_a_graph_that_computes_something_else_becomes_no_version(store: Store, root: Path, config: object) -> None:
    class Restless(Brightness):
        calls = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            Restless.calls += 1
            return super().forward(images) + Restless.calls

    student = Student(Restless(), example(), ())
    run_id = begin(store, root, config)
    with pytest.raises(AssertionError, match="not close"):
        register(store, NAME, lambda: student, figures=figures(), dvc_md5="f" * 32, commit="c", run_id=run_id)
    assert versions(store, NAME) == []


def test_registering_prints_nothing(add: Add, capfd: pytest.CaptureFixture[str]) -> None:
    add("a")
    add("b")
    assert capfd.readouterr() == ("", "")


def test_the_process_keeps_its_own_store(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    before = mlflow.get_tracking_uri()
    add("a")
    assert mlflow.get_tracking_uri() == before


def test_a_pickled_model_is_refused(store: Store, add: Add) -> None:
    add("a")
    values = store.client.get_model_version(NAME, "1").tags
    run_id = store.client.create_run(store.experiment_id).info.run_id
    with store.ambient(), mlflow.start_run(run_id):
        info = mlflow.pytorch.log_model(
            nn.Flatten(), name="m", serialization_format="pickle", pip_requirements=["torch"], signature=False
        )
        store.client.create_model_version(NAME, info.model_uri, tags=values)
    store.client.set_registered_model_alias(NAME, "challenger", "2")
    with pytest.raises(PromotionError, match=r"Version 2 of student must load without pickle.*helixnas delete 2"):
        load_model(store, NAME, "challenger")


def test_a_network_that_would_run_code_is_neither_loaded_nor_fetched(add: Add, store: Store, root: Path) -> None:
    add("a")
    store.client.delete_model_version_tag(NAME, "1", "sha256")  # as of a version of before checksums
    (path,) = (root / "mlartifacts").rglob("model.pt2")
    path.write_bytes(changed(path.read_bytes(), lambda records: pickled_example(records, root / "marker")))
    with pytest.raises(PromotionError, match=r"Version 1 of student must load .*model\.pt is pickled with more than"):
        load_model(store, NAME, "challenger")
    fetch_program(store, f"models:/{NAME}/1", root / "network.pt2")
    with pytest.raises(ArtifactError, match=r"network\.pt2 must hold raw tensors .* is pickled with more than tensors"):
        load_program(root / "network.pt2")
    assert not (root / "marker").exists()


@pytest.mark.parametrize("name", ["model.pt2", "arch.json"])
def test_files_that_were_swapped_after_they_were_registered_are_refused(
    add: Add, store: Store, root: Path, name: str
) -> None:
    add("a")
    (path,) = (root / "mlartifacts").rglob(name)
    path.write_bytes(path.read_bytes() + b"\n")
    for load in (load_model, lambda *_: fetch_program(store, f"models:/{NAME}/1", root / "network.pt2")):
        with pytest.raises(PromotionError, match=r"Version 1 of student must load .* their checksum differs"):
            load(store, NAME, "challenger")
    assert not (root / "network.pt2").exists()


def test_a_version_of_before_checksums_is_told_and_registered_anew(
    add: Add, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    add("a")
    store.client.delete_model_version_tag(NAME, "1", "sha256")
    load_model(store, NAME, "challenger")
    assert "version 1 of student is older than checksums" in capsys.readouterr().err
    assert add("a").version == 2


def test_a_version_whose_files_are_gone_is_told(add: Add, store: Store, root: Path) -> None:
    add("a")
    (root / "mlartifacts").rename(root / "elsewhere")
    with pytest.raises(PromotionError, match="Version 1 of student must load"):
        load_model(store, NAME, "challenger")


def test_a_missing_alias_names_those_there_are(add: Add, store: Store) -> None:
    add("a")
    with pytest.raises(PromotionError, match="alias 'champion', but its aliases are: challenger"):
        load_model(store, NAME, "champion")


def test_the_loaded_module_judges_as_the_trained_one(add: Add, store: Store) -> None:
    add("a", bias=9.0)
    assert evaluate(load_model(store, NAME, "challenger").module) == evaluate(Brightness(9.0)) == 0.5


def test_an_example_has_two_images_at_least() -> None:
    assert len(example()) == 2
    assert example().dtype == np.float32


def test_a_program_is_fetched_with_what_its_version_has_seen(add: Add, store: Store, tmp_path: Path) -> None:
    add("a", seen=(3, -4))
    version, seen = fetch_program(store, f"models:/{NAME}@challenger", tmp_path / "network.pt2")
    assert (version.version, seen.tolist()) == (1, [3, -4])
    assert (tmp_path / "network.pt2").is_file()


def test_a_program_of_before_splits_were_recorded_is_not_fetched(add: Add, store: Store, tmp_path: Path) -> None:
    add("a", seen=None)
    with pytest.raises(PromotionError, match=r"Version 1 of student must tell which images .* anew by `make run`"):
        fetch_program(store, f"models:/{NAME}/1", tmp_path / "network.pt2")
    assert not (tmp_path / "network.pt2").exists()
