"""The teacher stage: what it notes of the images that students know, and teachers that know the test part."""

import contextlib
from pathlib import Path

import pytest
import torch

from helixnas import artifacts
from helixnas.config import load
from helixnas.data import ImageSet
from helixnas.errors import ArtifactError, ConfigError, DataError
from helixnas.handover.parts import load_part
from helixnas.stages import teacher
from tests.conftest import save_packed

REGISTERED = "teacher.source=models:/student/3"


def part(root: Path, name: str) -> ImageSet:
    return ImageSet.load(root / f"artifacts/data/{name}")


def seen(root: Path) -> set[int]:
    tensors, facts = artifacts.load_tensors(root / "artifacts/teacher/seen.safetensors", "seen")
    assert facts["split"] == part(root, "train").split
    return set(tensors["digests"].tolist())


def known(root: Path) -> set[int]:
    return {int(digest) for name in ("train", "rating") for digest in part(root, name).digests}


def test_a_student_knows_the_train_and_rating_parts(finished: Path) -> None:
    assert seen(finished) == known(finished)
    assert not seen(finished) & set(part(finished, "test").digests.tolist())


def run_with(root: Path, monkeypatch: pytest.MonkeyPatch, digests: torch.Tensor) -> None:
    """The teacher stage as far as the network, with a teacher of the registry that has seen such images."""

    class Reached(Exception):
        pass

    def network(*_: object) -> None:
        raise Reached

    monkeypatch.setattr(teacher, "fetch", lambda *_: ("version 3 of student", digests))
    monkeypatch.setattr(teacher, "new_network", network)
    with contextlib.chdir(root), pytest.raises(Reached):
        teacher.run(load(root, [REGISTERED]))


def test_a_teacher_of_the_registry_that_has_seen_test_images_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = part(project, "test").digests
    said = rf"version 3 of student has seen 7 of {len(test)}\. Set data\.split_seed to what it was"
    with pytest.raises(DataError, match=said):
        run_with(project, monkeypatch, test[:7])


def test_what_a_teacher_of_the_registry_has_seen_its_students_know_too(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_with(project, monkeypatch, torch.tensor([5, 6, 7]))
    assert seen(project) == known(project) | {5, 6, 7}


def unlabelled(root: Path) -> None:
    for name in ("train", "rating", "test"):
        whole = part(root, name)
        labels = torch.full_like(whole.labels, -1)
        facts = (whole.mean, whole.std, whole.digests, whole.split, False)
        save_packed(ImageSet(whole.pixels, labels, (), *facts), root / f"artifacts/data/{name}")


def test_a_teacher_cannot_be_trained_on_images_without_labels(project: Path) -> None:
    unlabelled(project)
    said = r"teacher\.recipe\.epochs must be 0 .*, but is 1\. Set it to 0 and bring a trained teacher"
    with contextlib.chdir(project), pytest.raises(ConfigError, match=said):
        teacher.run(load(project))


def test_labels_of_another_split_are_refused(project: Path) -> None:
    unlabelled(project)
    with pytest.raises(ArtifactError, match=r"labels\.safetensors must exist"):
        load_part(project, "train")
    labels = {"train": torch.zeros(len(part(project, "train")), dtype=torch.int64)}
    path = project / "artifacts/teacher/labels.safetensors"
    artifacts.save_tensors(path, "labels", labels, {"num_classes": 7, "split": "another"})
    with pytest.raises(
        ArtifactError, match=r"labels\.safetensors must be of the images in the parts, but is of others"
    ):
        load_part(project, "train")
