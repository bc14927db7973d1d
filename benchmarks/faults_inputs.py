"""Bad input of every class: keys of params.yaml, the file itself, images, labels, weights, and custom code.

Each case is a name, the command that meets it, and a function that spoils a project's folder.
"""

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

Spoil = Callable[[Path], object]
VALUES = (
    ".inf",
    ".nan",
    "-.inf",
    "1e300",
    "-1",
    "0",
    "true",
    '"20"',
    "null",
    "[]",
    "{}",
    "10000000000000000",
    "٣",
    "0%",
)
NUM_VALUES = 140
"""So many pairs of a key and a value are drawn."""


class Case(NamedTuple):
    """``has_own_traceback``: the traceback of the user's own code may follow the message."""

    name: str
    command: str
    spoil: Spoil
    has_own_traceback: bool = False


def cases(root: Path) -> Iterator[Case]:
    """All cases, from a project as it should be."""
    params = yaml.safe_load((root / "params.yaml").read_text())
    pairs = [(key, value) for key in _keys(params, ()) for value in VALUES]
    for key, value in random.Random(0).sample(pairs, NUM_VALUES):
        yield Case(f"{'.'.join(key)}: {value}", "plan", _value(key, value))
    for name, text in _files().items():
        yield Case(f"params.yaml {name}", "plan", lambda folder, text=text: (folder / "params.yaml").write_bytes(text))
    for name, fill in IMAGES.items():
        yield Case(f"images: {name}", "data", _images(fill))
    for name, (labels, class_names) in LABELS.items():
        yield Case(f"labels: {name}", "data", _labels(labels, class_names))
    for name, content in WEIGHTS.items():
        yield Case(f"weights: {name}", "plan", _weights(content))
    for name, body in CODE.items():
        yield Case(f"custom code: {name}", "data", _code(body), has_own_traceback=True)


def _keys(section: Any, key: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every key that holds a value."""
    if not isinstance(section, dict):
        yield key
        return
    for name, inner in section.items():
        yield from _keys(inner, (*key, name))


def _value(key: tuple[str, ...], text: str) -> Spoil:
    """A key's value replaced by a text of YAML."""

    def spoil(root: Path) -> None:
        params = yaml.safe_load((root / "params.yaml").read_text())
        section = params
        for part in key[:-1]:
            section = section[part]
        section[key[-1]] = "@@@"
        written = yaml.safe_dump(params, sort_keys=False, allow_unicode=True)
        (root / "params.yaml").write_text(written.replace("'@@@'", text), encoding="utf-8")

    return spoil


def _set(root: Path, **values: Any) -> None:
    """Values of the section data."""
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["data"].update(values)
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def _files() -> dict[str, bytes]:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    laughs += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    return {
        "is empty": b"",
        "is a list": b"[1, 2]",
        "is a text": b"hello",
        "is binary": bytes(range(256)),
        "is cut short": b"seed: 0\ndata: {",
        "has a tab": b"seed:\t0\n\tdata: 1\n",
        "is too deep": b"seed: " + b"[" * 20000,
        "refers to itself": b"seed: &a [*a]\n",
        "explodes": laughs.encode(),
        "names a key twice": b"seed: 0\nseed: 1\n",
        "runs a tag": b"seed: !!python/object/apply:os.system ['true']\n",
        "is Latin-1": "seed: 0 # é\n".encode("latin-1"),
    }


def _images(fill: Spoil) -> Spoil:
    def spoil(root: Path) -> None:
        folder = root / "datasets" / "bad"
        for name in ("a", "b"):
            (folder / name).mkdir(parents=True)
            for number in range(8):
                Image.new("L", (8, 8), number).save(folder / name / f"{number}.png")
        fill(folder / "a")
        _set(root, source="folder", path=str(folder))

    return spoil


def _tiff(values: np.ndarray) -> Spoil:
    return lambda folder: Image.fromarray(values).save(folder / "x.tif")


IMAGES: dict[str, Spoil] = {
    "a text": lambda folder: (folder / "x.png").write_text("no image"),
    "empty": lambda folder: (folder / "x.png").write_bytes(b""),
    "a pipe": lambda folder: os.mkfifo(folder / "x.png"),
    "a device": lambda folder: (folder / "x.png").symlink_to("/dev/zero"),
    "a loop": lambda folder: (folder / "x").symlink_to(folder),
    "nowhere": lambda folder: (folder / "x.png").symlink_to(folder / "gone.png"),
    "cut short": lambda folder: (folder / "x.png").write_bytes((folder / "1.png").read_bytes()[:40]),
    "NaN": _tiff(np.full((8, 8), np.nan, np.float32)),
    "infinite": _tiff(np.full((8, 8), np.inf, np.float32)),
    "unreadable": lambda folder: (folder / "x.png").mkdir(),
}

LABELS: dict[str, tuple[list[Any], list[str] | None]] = {
    "below zero": ([-7, 0, 1] * 10, None),
    "huge": ([10**12, 0, 1] * 10, None),
    "beyond the names": ([0, 1, 2] * 10, ["a", "b"]),
    "null": ([0, 1, None] * 10, None),
    "null among names": (["a", "b", None] * 10, None),
    "fractions": ([0.5, 1.5, 0.0] * 10, None),
    "no number": ([float("nan"), 1.0, 0.0] * 10, None),
    "lists": ([[0], [1], [0, 1]] * 10, None),
    "truth values": ([True, False, True] * 10, None),
    "one class": ([0] * 30, None),
    "names twice": ([0, 1, 2] * 10, ["a", "a", "b"]),
    "an empty name": ([0, 1, 2] * 10, ["a", "", "b"]),
    "not UTF-8": ([b"\xff", b"a", b"b"] * 10, None),
}


def _labels(labels: list[Any], class_names: list[str] | None) -> Spoil:
    def spoil(root: Path) -> None:
        folder = root / "datasets" / "bad"
        folder.mkdir(parents=True)
        Image.new("L", (8, 8)).save(folder / "image.png")
        pixels = (folder / "image.png").read_bytes()
        table = pa.table({"image": pa.array([pixels] * len(labels), pa.binary()), "label": pa.array(labels)})
        if class_names is not None:
            names = json.dumps({"info": {"features": {"label": {"names": class_names}}}})
            table = table.replace_schema_metadata({"huggingface": names})
        pq.write_table(table, folder / "train.parquet")
        _set(root, source="parquet", path=str(folder / "train.parquet"))

    return spoil


WEIGHTS = {
    "a text": b"no weights",
    "empty": b"",
    "a pickle that runs code": b"cposix\nsystem\n(S'true'\ntR.",
    "safetensors, cut short": b"\x10\x00\x00\x00\x00\x00\x00\x00{}",
    "safetensors with a huge header": b"\xff" * 64,
}


def _weights(content: bytes) -> Spoil:
    def spoil(root: Path) -> None:
        suffix = "safetensors" if b"\x00" in content or b"\xff" in content else "pth"
        path = root / "own" / f"weights.{suffix}"
        path.write_bytes(content)
        params = yaml.safe_load((root / "params.yaml").read_text())
        params["teacher"]["weights"] = str(path)
        (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    return spoil


CODE = {
    "raises": "def images(path):\n    raise ValueError('boom')",
    "raises what cannot be told": (
        "class Odd(Exception):\n    def __str__(self):\n        raise ValueError\ndef images(path):\n    raise Odd"
    ),
    "exits": "import sys\ndef images(path):\n    sys.exit(0)",
    "exits at once": "import os\ndef images(path):\n    os._exit(0)",
    "aborts": "import os\ndef images(path):\n    os.abort()",
    "interrupts": "def images(path):\n    raise KeyboardInterrupt",
    "recurses": "def images(path):\n    return images(path)",
    "closes stdout": "import os\ndef images(path):\n    os.close(1)\n    return None",
    "moves away": "import os\ndef images(path):\n    os.chdir('/')\n    return None",
    "gives nothing": "def images(path):\n    return None",
    "gives a text": "def images(path):\n    return 'images'",
    "gives images of no size": (
        "import numpy as np\ndef images(path):\n"
        "    return np.zeros((9, 1, 0, 0), np.uint8), np.arange(9) % 3, list('abc')"
    ),
    "gives other lengths": (
        "import numpy as np\ndef images(path):\n    return np.zeros((9, 1, 8, 8), np.uint8), np.arange(4), ['a'] * 4"
    ),
    "gives NaN": (
        "import numpy as np\ndef images(path):\n"
        "    return np.full((9, 1, 8, 8), np.nan, np.float32), np.arange(9) % 3, ['a', 'b', 'c']"
    ),
    "is a class": "class images:\n    pass",
    "takes what it is not given": "def images(one, two, three):\n    return None",
    "does not parse": "def images(:\n",
    "imports what is not there": "import nothing_of_that_name\n",
    "has null bytes": "a = '\0'\n",
    "is not there": "",
}


def _code(body: str) -> Spoil:
    def spoil(root: Path) -> None:
        (root / "own" / "bad_images.py").write_text(body)
        _set(root, source="factory:own.bad_images:images")

    return spoil
