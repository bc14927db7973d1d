"""The pixels of a part, packed or decoded when they are needed: the same bits, and whatever was changed is named."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from helixnas.data import ImageSet, files, pixels, prepare
from helixnas.data.files import Files
from helixnas.errors import ArtifactError, DataError
from helixnas.progress import silent
from tests.conftest import whole
from tests.data.conftest import COLOURS, encoded, paint, settings

PARTS = ("train", "rating", "test")


def painted(folder: Path) -> str:
    """Class folders of images larger than the parts', some of them twice and one that is broken."""
    paint(folder)
    for index in range(0, 12, 2):
        shutil.copy(folder / "red" / f"{index}.png", folder / "red" / f"again_{index}.png")
    (folder / "green" / "5.png").write_bytes(b"no image")
    return "folder"


def tabled(folder: Path) -> str:
    """Two Parquet files of several row groups each."""
    folder.mkdir(exist_ok=True)
    for number in range(2):
        rows = [(encoded(c, 2 * index + number), name) for name, c in COLOURS.items() for index in range(10)]
        table = pa.table({"image": [row[0] for row in rows], "label": [row[1] for row in rows]})
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=7)
    return "parquet"


def made(source: str, images: Path, out: Path, pack_gb: float, num_loaders: int = 0) -> dict[str, ImageSet]:
    chosen = settings(source, images, pack_gb=pack_gb, max_unreadable=0.1, image_size=4)
    return prepare(chosen, out, silent, num_loaders).parts


@pytest.mark.parametrize("write", [painted, tabled])
def test_packed_and_decoded_images_are_the_same(
    write: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "KEPT_BYTES", 1)
    monkeypatch.setattr(pixels, "KEPT_BYTES", 1)
    monkeypatch.setattr(pixels, "NUM_AT_ONCE", 4)
    source = write(tmp_path / "images")
    packed = made(source, tmp_path / "images", tmp_path / "packed", 1)
    decoded = made(source, tmp_path / "images", tmp_path / "decoded", 0)
    order = torch.randperm(len(packed["train"]), generator=torch.Generator().manual_seed(0))
    assert torch.equal(packed["train"].read(order), decoded["train"].read(order))
    for name in PARTS:
        assert (tmp_path / "packed" / name / "images.u8").exists()
        assert not (tmp_path / "decoded" / name / "images.u8").exists()
        index = (tmp_path / "packed" / name / "index.parquet").read_bytes()
        assert index == (tmp_path / "decoded" / name / "index.parquet").read_bytes()
        assert torch.equal(whole(packed[name]), whole(decoded[name]))


@pytest.mark.parametrize("num_loaders", [0, 2])
def test_batches_are_the_same_with_loaders(tmp_path: Path, num_loaders: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helixnas.data.images.BATCH_PIXELS", 4 * 16)
    monkeypatch.setattr("helixnas.data.images.MIN_BATCH", 3)
    source = painted(tmp_path / "images")
    packed = made(source, tmp_path / "images", tmp_path / "packed", 1)["train"]
    decoded = made(source, tmp_path / "images", tmp_path / "decoded", 0, num_loaders)["train"]
    batches = list(replace(decoded, num_loaders=num_loaders).normalized_batches())
    assert len(batches) > 3
    assert torch.equal(torch.cat(batches), packed.normalized())


def test_the_normalisation_is_that_of_all_train_images(parts: dict[str, ImageSet]) -> None:
    shares = whole(parts["train"]).double() / 255
    assert parts["train"].mean == pytest.approx((float(shares.mean()),), rel=1e-12)
    assert parts["train"].std == pytest.approx((float(shares.std(correction=0)),), rel=1e-12)


def test_a_part_that_no_longer_fits_is_decoded(tmp_path: Path) -> None:
    source = painted(tmp_path / "images")
    made(source, tmp_path / "images", tmp_path / "out", 1)
    again = made(source, tmp_path / "images", tmp_path / "out", 0)
    assert sorted(path.name for path in (tmp_path / "out/train").iterdir()) == ["index.parquet"]
    assert isinstance(again["train"].pixels, pixels.Decoded)


def repaint(file: Path) -> None:
    Image.new("RGB", (20, 10), (1, 2, 3)).save(file)


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "other pixels": (repaint, "gives other pixels: its checksum differs"),
    "no image": (lambda file: file.write_bytes(b"no image") and None, "cannot be read"),
    "gone": (Path.unlink, "cannot be read"),
}


@pytest.mark.parametrize("num_loaders", [0, 1])
@pytest.mark.parametrize(("change", "says"), CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_image_is_refused_by_name(
    tmp_path: Path, change: Callable[[Path], None], says: str, num_loaders: int
) -> None:
    made(painted(tmp_path / "images"), tmp_path / "images", tmp_path / "out", 0)
    part = ImageSet.load(tmp_path / "out/train", num_loaders)
    assert isinstance(part.pixels, pixels.Decoded)
    file = Path(pq.read_table(tmp_path / "out/train/index.parquet").column("file")[3].as_py())
    change(file)
    assert len(part.read(torch.tensor([2, 4]))) == 2
    with pytest.raises(DataError, match=rf"^{file} must be the image that the data stage read, but {says}"):
        list(part.normalized_batches())


def test_a_changed_row_of_a_table_is_refused_by_name(tmp_path: Path) -> None:
    made(tabled(tmp_path / "images"), tmp_path / "images", tmp_path / "out", 0)
    file = tmp_path / "images/1.parquet"
    table = pq.read_table(file)
    turned = table.set_column(0, "image", pa.array(table.column("image").to_pylist()[::-1]))
    pq.write_table(turned, file, row_group_size=7)
    with pytest.raises(
        DataError, match=rf"^{file}, row \d+ must be the image that the data stage read, but gives other"
    ):
        whole(ImageSet.load(tmp_path / "out/train"))


def test_images_of_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.pack_gb must hold the images of digits.* 2\.88e-05 GB, but is 1e-06"):
        made("digits", tmp_path, tmp_path / "out", 1e-6)
    assert list((tmp_path / "out").iterdir()) == []


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut short": (lambda file: file.write_bytes(file.read_bytes()[:-1]) and None, "must be whole, but .* bytes"),
    "changed": (lambda file: file.write_bytes(b"\1" + file.read_bytes()[1:]) and None, "its checksum differs"),
    "gone": (Path.unlink, "must exist, but does not"),
}


@pytest.mark.parametrize(("damage", "says"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_pixels_are_refused_by_name(tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    made("digits", tmp_path, tmp_path / "out", 1)
    damage(tmp_path / "out/train/images.u8")
    with pytest.raises(ArtifactError, match=rf"train/images\.u8 .*{says}"):
        ImageSet.load(tmp_path / "out/train")


def test_of_a_large_part_some_images_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "CHECKED_BYTES", 5 * 16)
    made("digits", tmp_path, tmp_path / "out", 1)
    path = tmp_path / "out/train/images.u8"
    content = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 16).copy()
    content[1] += 1  # between the first and the second that are checked
    path.write_bytes(content.tobytes())
    ImageSet.load(tmp_path / "out/train")
    content[-1] += 1
    path.write_bytes(content.tobytes())
    with pytest.raises(ArtifactError, match="its checksum differs"):
        ImageSet.load(tmp_path / "out/train")


def mapped_bytes() -> int:
    """What this process holds of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssFile"))


def test_a_process_does_not_come_to_hold_what_it_has_read(tmp_path: Path) -> None:
    shape = (1500, 3, 224, 224)  # 226 MB
    np.memmap(tmp_path / "images.u8", np.uint8, "w+", shape=shape).flush()
    pixels.Packed(np.memmap(tmp_path / "images.u8", np.uint8, "r", shape=shape)).save_header(tmp_path)
    packed = pixels.Packed.open(tmp_path)
    before = mapped_bytes()
    for rows in torch.arange(1500).split(64):
        assert packed.read(rows).shape == (len(rows), *shape[1:])
    assert mapped_bytes() - before < 2**26


def test_a_table_that_is_no_longer_there_is_named(tmp_path: Path) -> None:
    places = Files([str(tmp_path / "gone.parquet")], [0])
    assert places[0] == f"{tmp_path / 'gone.parquet'}, row 0"
    with pytest.raises(DataError, match=r"gone\.parquet must be a readable Parquet file, but: .*Get it anew"):
        places.content(0)
