"""No stage holds a part, and every stage computes the same from packed images and from decoded ones."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from flows.parameters import change
from helixnas.data import images
from helixnas.data.pixels import Decoded, Packed
from tests.project import new_project, run_all

NUM_IMAGES, MOST_READ = 400, 64
OVERRIDES = (
    "data.source=folder",
    "data.path=mine",
    "data.test_fraction=0.33",
    "data.rating_fraction=0.4",
    "teacher.features=stream",
    "teacher.recipe.batch_size=32",
    "distill.batch_size=32",
    "rating.batch_size=32",
    "rating.num_calibration_images=64",
    "search.budget.latency_ms=null",
    "retrain.recipe.batch_size=32",
    "retrain.recipe.lr=auto",
)
"""Each part has about twice as many images as the most that is read at once."""
UNLIKE = ("images.u8", "images.json")


@pytest.fixture
def num_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many images were read at a time."""
    counts: list[int] = []
    for kind in (Packed, Decoded):

        def read(self: Packed | Decoded, rows: Tensor, original=kind.read) -> Tensor:  # type: ignore[no-untyped-def]
            counts.append(len(rows))
            read: Tensor = original(self, rows)
            return read

        monkeypatch.setattr(kind, "read", read)
    yield counts


def results(root: Path, pack_gb: float) -> dict[str, bytes]:
    """All that the stages leave but times, and what the report draws of them."""
    new_project(root)
    (root / "mine").mkdir()
    rng = np.random.default_rng(0)
    for label in range(4):
        (root / f"mine/{label}").mkdir()
        for index in range(NUM_IMAGES // 4):
            image = rng.integers(0, 192, (9, 9), np.uint8) + np.uint8(20 * label)
            Image.fromarray(image).save(root / f"mine/{label}/{index}.png")
    change(root, None, [*OVERRIDES, f"data.pack_gb={pack_gb}"])
    with contextlib.chdir(root):
        run_all(root)
    found = (path for path in (root / "artifacts").rglob("*") if path.is_file() and path.name not in UNLIKE)
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in found
        if not {"report", "export", "measured"} & set(path.parts)  # which hold times
    }


@pytest.mark.slow
def test_both_ways_give_the_same_bits_and_no_stage_reads_a_part_at_once(
    tmp_path: Path, num_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "BATCH_PIXELS", MOST_READ * 8 * 8)
    monkeypatch.setattr("helixnas.data.pixels.CHECKED_BYTES", MOST_READ * 8 * 8)
    made = []
    for way, pack_gb in (("packed", 1), ("decoded", 0)):
        (tmp_path / way).mkdir()
        made.append(results(tmp_path / way, pack_gb))
    packed, decoded = made
    assert packed.keys() == decoded.keys()
    assert [name for name in packed if packed[name] != decoded[name]] == []
    sizes = [
        len(images.ImageSet.load(tmp_path / f"packed/artifacts/data/{name}")) for name in ("train", "rating", "test")
    ]
    assert max(num_read) <= MOST_READ < min(sizes)
