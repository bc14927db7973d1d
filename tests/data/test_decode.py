"""Pictures of every kind become 8 bits by one rule each; what cannot be shown, or opened, is named and skipped."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helixnas.data import peek, read_images
from helixnas.data.decode import decode, guess_channels, to_tensor
from helixnas.data.sources import open_source
from helixnas.errors import DataError
from tests.data.conftest import COLOURS, encoded, paint, prepared, settings

RAMP = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
SCALED = np.round(RAMP / 257).astype(np.uint8)


def file_of(pixels: np.ndarray, form: str = "TIFF") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("pixels", "form", "wanted"),
    [
        (RAMP, "PNG", SCALED),
        (RAMP // 2, "PNG", np.round(RAMP // 2 / 257)),
        (RAMP, "PPM", SCALED),
        (RAMP, "TIFF", SCALED),
        (RAMP.astype(">u2"), "TIFF", SCALED),
        (RAMP.astype(np.int32) * 9 - 500, "TIFF", SCALED),
        (np.full((20, 20), 7, np.int32), "TIFF", np.zeros((20, 20))),
        (RAMP.astype(np.float32), "TIFF", SCALED),
        ((SCALED // 2 / 255).astype(np.float32), "TIFF", SCALED // 2),
    ],
)
def test_wide_pixels_are_scaled_to_their_own_range(pixels: np.ndarray, form: str, wanted: np.ndarray) -> None:
    file = file_of(pixels, form)
    assert guess_channels([file]) == 1
    assert np.array_equal(decode(file, 1)[0].numpy(), wanted)
    assert np.array_equal(decode(file, 3).numpy(), np.stack([wanted] * 3))


@pytest.mark.parametrize("pixel", [np.nan, np.inf, -np.inf])
def test_an_image_of_pixels_that_are_no_numbers_is_named(tmp_path: Path, pixel: float) -> None:
    paint(tmp_path)
    pixels = RAMP.astype(np.float32)
    pixels[3, 3] = pixel
    (tmp_path / "blue/odd.tif").write_bytes(file_of(pixels))
    with pytest.raises(DataError, match=r"blue.odd\.tif: it has pixels that are NaN or infinite\. Mend"):
        prepared("folder", tmp_path)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "I;16B", "F"]
)
def test_every_mode_becomes_grey_colour_and_colour_with_transparency(mode: str) -> None:
    shapes = [tuple(to_tensor(Image.new(mode, (6, 5)), wanted).shape) for wanted in ("L", "RGB", "RGBA")]
    assert shapes == [(1, 5, 6), (3, 5, 6), (4, 5, 6)]


def test_a_palette_keeps_its_transparency_where_there_is_room_for_it() -> None:
    image = Image.new("P", (6, 5), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    for transparency in (1, b"\xff\x00"):
        buffer = io.BytesIO()
        image.save(buffer, "PNG", transparency=transparency)
        assert decode(buffer.getvalue(), 4)[:, 0, 0].tolist() == [200, 100, 50, 0]
        assert decode(buffer.getvalue(), 3)[:, 0, 0].tolist() == [200, 100, 50]


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("L", (6, 5), value) for value in (10, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert decode(buffer.getvalue(), 1).unique().tolist() == [10]


@pytest.mark.parametrize("file", [b"", b"no image", encoded(COLOURS["red"], 0)[:50], b"II*\0\x08\0\0\0\xff\xff"])
def test_a_broken_file_is_a_reason_without_an_address_in_memory(file: bytes) -> None:
    with pytest.raises((OSError, ValueError), match=r"^(?!.*0x).+$"):
        decode(file, 3)
    assert guess_channels([file]) in {1, 3}


def test_a_file_of_too_many_pixels_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match="exceeds limit of 200 pixels"):
        decode(file_of(RAMP), 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    assert decode(file_of(RAMP), 1).shape == (1, 20, 20)  # Pillow warns, and reads it


def odd_folder(root: Path) -> Path:
    paint(root)
    os.mkfifo(root / "blue/pipe.png")
    (root / "green/gone.png").symlink_to("nowhere.png")
    (root / "green/round.png").symlink_to("round.png")
    (root / "red/up").symlink_to("..")
    (root / "red/null.png").symlink_to("/dev/zero")
    return root


def test_pipes_devices_and_broken_links_are_named_and_never_waited_for(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        prepared("folder", odd_folder(tmp_path))
    for name, reason in (
        ("pipe", "it is no regular file"),
        ("gone", "No such file"),
        ("null", "it is no regular file"),
    ):
        assert f"{name}.png: " in str(caught.value)
        assert reason in str(caught.value)
    assert "At most 0.00% of 40 images" in str(caught.value)
    with pytest.raises(DataError, match=r"pipe\.png must be a readable image, but: it is no regular file"):
        read_images([tmp_path / "blue/pipe.png"], (3, 8, 8))


@pytest.mark.parametrize("source", ["folder", "parquet"])
@pytest.mark.parametrize("path", ["/proc/self", "/proc", "/", "/sys/class"])
def test_the_systems_own_folders_are_not_walked(source: str, path: str) -> None:
    with pytest.raises(DataError, match=rf"Images must lie in a folder of their own, but {path} leads to /"):
        peek(settings(source, Path(path)))


@pytest.mark.parametrize(
    ("target", "message"),
    [("/proc", "leads to /proc, where the system's files are"), ("..", "leads back there"), (".", "back")],
)
def test_a_class_folder_that_leads_elsewhere_is_told(tmp_path: Path, target: str, message: str) -> None:
    paint(tmp_path / "mine")
    (tmp_path / "mine/loop").symlink_to(target)
    with pytest.raises(DataError, match=message):
        peek(settings("folder", tmp_path / "mine"))


def test_a_class_folder_may_be_a_link(tmp_path: Path) -> None:
    paint(tmp_path / "elsewhere")
    (tmp_path / "mine").mkdir()
    for name in COLOURS:
        (tmp_path / "mine" / name).symlink_to(tmp_path / "elsewhere" / name)
    assert sum(map(len, prepared("folder", tmp_path / "mine").parts.values())) == 36


@pytest.mark.parametrize("source", ["folder", "parquet", "torchvision:MNIST"])
@pytest.mark.parametrize("path", ["a" * 5000, "pipe", "loop", "a\0b"], ids=["long", "pipe", "loop", "null"])
def test_a_path_that_cannot_be_opened_is_told(tmp_path: Path, source: str, path: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match=r"data\.path must|must be a readable Parquet file"):
        peek(settings(source, tmp_path / path))


@pytest.mark.parametrize(
    ("pixels", "wanted"),
    [
        ("np.array([0, 257, 65535], np.uint16)", [0, 1, 255]),
        ("np.array([0, 257, 65535], '>u2')", [0, 1, 255]),
        ("np.array([-5, 0, 5], np.int64)", [0, 128, 255]),
        ("np.array([0.0, 0.2, 0.5])", [0, 51, 128]),
        ("np.array([0.0, 51.0, 255.0], np.float16)", [0, 51, 255]),
        ("np.array([-1e308, 0, 1e308])", [0, 128, 255]),
        ("np.array([False, True, True])", [0, 255, 255]),
        ("__import__('torch').tensor([-1.0, 0.0, 1.0])", [0, 128, 255]),
    ],
)
def test_arrays_of_other_numbers_are_scaled_by_the_range_of_all(own: Path, pixels: str, wanted: list[int]) -> None:
    body = f"def wide(path):\n    return {pixels}[[0, 1, 2] * 4, None, None, None], None, None\n"
    (own / "mine.py").write_text(f"import numpy as np\n{body}")
    read = open_source("factory:mine:wide", own, None).read
    assert [read(row).item() for row in range(3)] == wanted
    assert read(0).dtype == torch.uint8


def test_an_array_with_one_odd_pixel_loses_that_image_alone(own: Path) -> None:
    lines = ["images = np.arange(40.0).reshape(40, 1, 1, 1)", "images[3] = np.nan", "images[5] = np.inf"]
    (own / "mine.py").write_text("\n".join(["import numpy as np", *lines, "def odd(path): return images, None, None"]))
    with pytest.raises(DataError, match=r"these 2 are: image 3: it has pixels that are NaN or infinite; image 5: it"):
        prepared("factory:mine:odd", own)
    assert len(prepared("factory:mine:odd", own, max_unreadable=0.1).unreadable) == 2
