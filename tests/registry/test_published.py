"""The stages that use this room: publish after the pipeline, promote and predict after that."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.data import ImageSet, Packed
from helixnas.errors import ArtifactError, DataError, PromotionError
from helixnas.handover import student
from helixnas.registry import promote as promoting
from helixnas.registry import publish as publishing
from helixnas.results import figures_to_json
from helixnas.tracking import CHAMPION, Store, load_model
from tests.conftest import save_packed
from tests.tracking.conftest import FACTS, LOCK, NAME, Brightness, figures, images, save_seen

OUTCOMES = {"teacher": "ran", "distill@1": "cached"}


@pytest.fixture
def finished(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished pipeline whose student tells light images from dark ones."""
    for name, num_images in (("rating", 4), ("test", 300)):
        pixels, labels = images(num_images)
        facts = (("dark", "light"), (0.0,), (1.0,), torch.arange(num_images), "feed")
        save_packed(ImageSet(Packed(pixels), labels, *facts), project / folder("data") / name)
    save_seen(project / folder("teacher") / "seen.safetensors", (1000, 1001))
    artifacts.save_json(project / folder("retrain") / "arch.json", "arch", FACTS)
    artifacts.save_tensors(project / folder("retrain") / "student.safetensors", "student", Brightness().state_dict())
    monkeypatch.setattr(student, "load_deployed", deployed)
    return project


def deployed(root: Path, config: RunConfig) -> nn.Module:
    module = Brightness()
    module.load_state_dict(artifacts.load_tensors(root / folder("retrain") / "student.safetensors", "student")[0])
    return module


def retrained(root: Path, bias: float, digit: str) -> None:
    """Another student in the same place."""
    path = root / folder("retrain") / "student.safetensors"
    artifacts.save_tensors(path, "student", Brightness(bias).state_dict())
    (root / "dvc.lock").write_text(LOCK.replace("2" * 32, digit * 32))


def test_publishing_records_the_run_and_registers_the_student(finished: Path, config: RunConfig, store: Store) -> None:
    published = publishing.publish(finished, config, OUTCOMES)
    assert (published.version.version, published.version.is_new) == (1, True)
    assert published.version.dvc_md5 == "2" * 32 + ".dir"
    run = store.client.get_run(published.run_id)
    assert run.info.status == "FINISHED"
    assert store.client.get_model_version(config.tracking.model_name, "1").run_id == published.run_id
    (model,) = store.client.search_logged_models([store.experiment_id])
    assert model.source_run_id == published.run_id


def test_publishing_again_is_another_run_of_the_same_version(finished: Path, config: RunConfig) -> None:
    first = publishing.publish(finished, config, OUTCOMES)
    again = publishing.publish(finished, config, OUTCOMES, publishing.begin(finished, config))
    assert (again.version.version, again.version.is_new) == (1, False)
    assert again.run_id != first.run_id


def test_publishing_by_hand_records_the_stages_that_dvc_has_recorded(
    finished: Path, config: RunConfig, store: Store
) -> None:
    run_id = publishing.publish(finished, config).run_id
    found = store.client.search_runs([store.experiment_id], f"tags.mlflow.parentRunId = '{run_id}'")
    outcomes = {run.info.run_name: run.data.tags["outcome"] for run in found}
    assert outcomes == {"data": "skipped", "retrain": "skipped"}


def test_what_was_published_can_be_looked_up(finished: Path, config: RunConfig) -> None:
    assert publishing.published(finished, config) is None
    publishing.publish(finished, config, OUTCOMES)
    found = publishing.published(finished, config)
    assert found is not None
    assert (found.run_id, found.version.version, found.figures.arch_id) == (None, 1, "0:0")


def test_a_publication_that_breaks_off_is_a_failed_run(
    finished: Path, config: RunConfig, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(root: Path, config: RunConfig) -> nn.Module:
        raise KeyboardInterrupt

    monkeypatch.setattr(student, "load_deployed", broken)
    with pytest.raises(KeyboardInterrupt):
        publishing.publish(finished, config, OUTCOMES)
    (run,) = store.client.search_runs([store.experiment_id])
    assert run.info.status == "FAILED"


def test_a_pipeline_that_fails_closes_its_run(finished: Path, config: RunConfig, store: Store) -> None:
    run_id = publishing.begin(finished, config)
    publishing.fail(finished, config, {"teacher": "failed"}, run_id)
    assert store.client.get_run(run_id).info.status == "FAILED"


def test_promote_a_worse_one_is_refused_and_a_better_one_rolled_back(finished: Path, config: RunConfig) -> None:
    publishing.publish(finished, config, OUTCOMES)
    assert promoting.promote(finished, config).challenger_acc == 1.0
    retrained(finished, 9.0, "3")
    publishing.publish(finished, config, OUTCOMES)
    with pytest.raises(PromotionError, match=r"version 2 has 0\.5000"):
        promoting.promote(finished, config)
    retrained(finished, 0.1, "4")
    publishing.publish(finished, config, OUTCOMES)
    assert promoting.promote(finished, config).version == 3
    assert promoting.rollback(finished, config).version == 1
    assert [version.version for version in promoting.versions(finished, config)] == [3, 2, 1]
    promoting.delete(finished, config, 2)
    assert [version.version for version in promoting.versions(finished, config)] == [3, 1]


def test_images_are_classified_by_alias(finished: Path, config: RunConfig) -> None:
    publishing.publish(finished, config, OUTCOMES)
    paths = [finished / "light.png", finished / "dark.png"]
    for path, value in zip(paths, (250, 5), strict=True):
        Image.fromarray(np.full((20, 20), value, np.uint8)).save(path)
    with pytest.raises(PromotionError, match="its aliases are: challenger"):
        promoting.predict(finished, config, paths)
    promoting.promote(finished, config)
    predictions = promoting.predict(finished, config, paths, CHAMPION)
    assert [(path, name) for path, name, _ in predictions] == list(zip(paths, ("light", "dark"), strict=True))
    assert all(0.9 < probability <= 1 for _, _, probability in predictions)


def test_a_file_that_is_no_image_is_told(finished: Path, config: RunConfig) -> None:
    publishing.publish(finished, config, OUTCOMES)
    (finished / "words.png").write_text("words")
    with pytest.raises(DataError, match=r"words\.png must be a readable image"):
        promoting.predict(finished, config, [finished / "words.png"], "challenger")


def test_a_version_carries_what_it_has_seen_and_the_digest_of_its_split(
    finished: Path, config: RunConfig, store: Store
) -> None:
    version = publishing.publish(finished, config, OUTCOMES).version
    loaded = load_model(store, config.tracking.model_name, "challenger")
    assert loaded.seen is not None
    assert loaded.seen.tolist() == [1000, 1001]
    assert version.split == "feed"


def test_a_student_of_another_split_than_its_figures_is_not_registered(finished: Path, config: RunConfig) -> None:
    save_seen(finished / folder("teacher") / "seen.safetensors", (1000,), split="food")
    with pytest.raises(ArtifactError, match=r"seen\.safetensors must be of the split of \S+figures\.json, but is"):
        publishing.publish(finished, config, OUTCOMES)
    assert promoting.versions(finished, config) == []


def test_a_champion_of_another_split_is_not_beaten_on_its_own_training_images(
    finished: Path, config: RunConfig
) -> None:
    seen = finished / folder("teacher") / "seen.safetensors"
    save_seen(seen, range(1000, 1100))
    publishing.publish(finished, config, OUTCOMES)
    promoting.promote(finished, config)
    retrained(finished, 0.1, "3")
    save_seen(seen, range(2000, 2100))
    publishing.publish(finished, config, OUTCOMES)
    path = finished / folder("data") / "test"
    save_packed(replace(ImageSet.load(path), digests=torch.arange(1050, 1350)), path)
    with pytest.raises(PromotionError, match=r"version 1 has seen 50 of 300\. Set data\.split_seed .* of version 1"):
        promoting.promote(finished, config)


def test_without_labels_the_gate_speaks_of_agreement(finished: Path, config: RunConfig, store: Store) -> None:
    agreeing = replace(figures(), is_labelled=False)
    artifacts.save_json(finished / folder("report") / "figures.json", "figures", figures_to_json(agreeing))
    path = finished / folder("data") / "test"
    part = ImageSet.load(path)
    save_packed(replace(part, labels=torch.full_like(part.labels, -1), class_names=(), is_labelled=False), path)
    facts = {"num_classes": 2, "split": "feed"}
    artifacts.save_tensors(finished / folder("teacher") / "labels.safetensors", "labels", {"test": part.labels}, facts)
    publishing.publish(finished, config, OUTCOMES)
    assert "Version 1 reaches 1.0000 agreement with the teacher" in promoting.promote(finished, config).reason
    assert store.client.get_model_version(NAME, "1").tags["top1_acc_is"] == "agreement with the teacher"
