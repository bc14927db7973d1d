import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from helixnas.config import load
from helixnas.config.schema import Data
from helixnas.data import Prepared, prepare
from helixnas.progress import silent
from tests.conftest import ROOT

COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


def settings(source: str, path: Path, **others: Any) -> Data:
    return load(ROOT).data.model_copy(update={"source": source, "path": str(path), "image_size": 8, **others})


def prepared(source: str, path: Path, **others: Any) -> Prepared:
    with tempfile.TemporaryDirectory() as out:  # what is mapped can be read on when its name is gone
        return prepare(settings(source, path, **others), Path(out), silent)


def paint(folder: Path, num_images: int = 12, size: tuple[int, int] = (20, 10)) -> None:
    """Class folders of one colour each, which gets lighter from image to image."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for index in range(num_images):
            Image.new("RGB", size, tuple(value * (index + 9) // 24 for value in colour)).save(
                folder / name / f"{index}.png"
            )


def encoded(colour: tuple[int, ...], index: int) -> bytes:
    """One colour, lighter with a higher ``index``, so that no image comes twice."""
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9), tuple(value * (index + 9) // 36 for value in colour)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a module of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "images = np.random.default_rng(0).integers(0, 256, (40, 6, 9, 9), np.uint8)\n"
        "def load(path):\n"
        "    return images, np.arange(40) % 2, ['no', 'yes']\n"
        "def words(path):\n"
        "    return np.full(images.shape, 'a'), None, None\n"
        "def none_wide(path):\n"
        "    return images[..., :0, :0], None, None\n"
        "def objects(path):\n"
        "    return images.astype(object), None, None\n"
        "def nothing(path):\n"
        "    pass\n"
        "def marks(path):\n"
        "    return images, None, None, np.ones((40, 2), bool)\n"
        "def too_many(path):\n"
        "    return images, np.arange(40), ['no', 'yes']\n"
        "def halves(path):\n"
        "    return images, np.arange(40) / 2, ['no', 'yes']\n"
        "def missing(path):\n"
        "    return images, [0, None] * 20, ['no', 'yes']\n"
        "def one_hot(path):\n"
        "    return images, np.eye(2, dtype=int).repeat(20, 0), ['no', 'yes']\n"
        "def one_class(path):\n"
        "    return images, np.zeros(40, int), ['no', 'yes']\n"
        "def nameless(path):\n"
        "    return images, np.arange(40) % 2, []\n"
        "def bare(path):\n"
        "    return images, None, None\n"
    )
    return tmp_path
