"""What must go so that a damaged artifact is made anew: the file, and DVC's copy where that is no better."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import yaml

from helixnas import artifacts
from helixnas.errors import ArtifactError


def cached(root: Path, data: bytes, suffix: str = "") -> tuple[str, Path]:
    """Put bytes into DVC's cache; their digest and their place."""
    md5 = hashlib.md5(data).hexdigest() + suffix
    path = root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return md5, path


@pytest.fixture(params=["file", "folder"])
def project(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, Path, list[Path]]:
    """An artifact, its copy in DVC's cache, and all that DVC has there of it."""
    path = tmp_path / "artifacts/rating/block_0/rating.json"
    artifacts.save_json(path, "rating", [1.5])
    md5, copy = cached(tmp_path, path.read_bytes())
    out, copies = {"path": "artifacts/rating/block_0/rating.json", "md5": md5}, [copy]
    if request.param == "folder":
        listing = json.dumps([{"md5": md5, "relpath": "rating.json"}]).encode()
        md5, whole = cached(tmp_path, listing, ".dir")
        out, copies = {"path": "artifacts/rating/block_0", "md5": md5}, [copy, whole]
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": {"rating@0": {"outs": [out]}}}))
    return path, copy, copies


def removal(path: Path) -> str:
    with pytest.raises(ArtifactError, match="Remove it") as caught:
        artifacts.load_json(path, "rating")
    return str(caught.value)


def test_where_dvcs_copy_is_whole_the_file_alone_must_go(project: tuple[Path, Path, list[Path]]) -> None:
    path, _, _ = project
    path.write_text(path.read_text().replace("1.5", "1.6"))
    assert removal(path).endswith("Remove it and run `dvc repro`.")


def test_a_bad_copy_and_a_bad_list_of_copies_are_named(project: tuple[Path, Path, list[Path]]) -> None:
    path, _, copies = project
    path.write_text(path.read_text().replace("1.5", "1.6"))
    for copy in copies:
        whole = copy.read_bytes()
        copy.write_bytes(whole[:-1])
        assert re.search(rf"DVC's copy of it, {copy}, which is no better, and run `dvc repro`", removal(path))
        copy.write_bytes(whole)


def test_a_copy_that_dvc_takes_for_right_is_named_where_it_is_of_no_use(
    project: tuple[Path, Path, list[Path]],
) -> None:
    path, copy, _ = project
    with pytest.raises(ArtifactError, match=f"must hold .* DVC's copy of it, {copy}, which"):
        artifacts.load_json(path, "another kind")


@pytest.mark.parametrize("text", ["", "stages: 3", "{", "stages: {a: {outs: [3]}}"])
def test_without_a_lock_file_that_can_be_read_the_file_alone_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "dvc.lock").write_text(text)
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts/v.json").write_text("{")
    assert removal(tmp_path / "artifacts/v.json").endswith("Remove it and run `dvc repro`.")


def test_a_cache_elsewhere_is_looked_into(project: tuple[Path, Path, list[Path]], tmp_path: Path) -> None:
    path, copy, _ = project
    (tmp_path / ".dvc/cache").rename(tmp_path / "elsewhere")
    (tmp_path / ".dvc/config").write_text("[core]\n    analytics = false\n[cache]\n    dir = ../elsewhere\n")
    path.write_text("{")
    moved = tmp_path / "elsewhere" / copy.relative_to(tmp_path / ".dvc/cache")
    moved.write_bytes(b"")
    assert f".dvc/../elsewhere/{copy.relative_to(tmp_path / '.dvc/cache')}, which is no better" in removal(path)
