"""How much memory each stage's processes take on many images at 224 pixels, packed and decoded when they are needed.

A script makes 100,000 JPEG files that all differ; data, teacher (no training), distill (a few steps) and rating run on
them, each in a process of its own. The peak is of the largest process of a stage, its loaders included. In the end it
is compared whether both ways gave the same bits.
Run: python benchmarks/big_data.py [--num-images 2000] [--folder FOLDER]; 100,000 images take 17 GB of disk.
"""

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch reads it
sys.path.append(str(Path(__file__).parent.parent))  # flows is no package that is installed

import numpy as np
from figure import ROOT
from PIL import Image

from flows.parameters import change

NUM_CLASSES, NUM_ENCODED, NUM_CHANGED = 10, 8, 6
PIXELS = 224
WAYS = {"packed": 1000.0, "decoded": 0.0}
"""The value of ``data.pack_gb`` for each way."""
STAGES = ("data", "teacher", "distill --block-id 0", "rating --block-id 0")
LIMIT_BYTES = 2e9
OVERRIDES = [
    "data.source=folder",
    "data.path=images",
    f"data.image_size={PIXELS}",
    "teacher.source=factory:examples.cifar_resnet:resnet",
    "teacher.model_args={depths:[1,1,1],width:8,stem_stride:4}",
    "teacher.block_ids=[0,1]",
    "teacher.blocks=[[layer1],[layer2,layer3]]",
    "teacher.features=stream",
    "teacher.recipe.epochs=0",
    "search_space.drop_dearer=false",
    "distill.updates=2",
    "distill.batch_size=32",
    "rating.num_images=256",
    "rating.batch_size=64",
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--num-images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder if it is not given")
    parser.add_argument("--num-loaders", default="auto")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        root = Path(folder)
        seconds = time.perf_counter()
        paint(root / "images", asked.num_images)
        print(f"{asked.num_images} images in {time.perf_counter() - seconds:.0f} s", flush=True)
        digests = {way: dict(ran(root, way, pack_gb, asked.num_loaders)) for way, pack_gb in WAYS.items()}
    packed, decoded = digests.values()
    print("same bits:", packed == decoded, f"({len(packed)} files)")
    sys.exit(0 if packed == decoded else 1)


def paint(folder: Path, num_images: int) -> None:
    """Distinct JPEG files in class folders: few are encoded; the others differ from those by their quantization."""
    rng = np.random.default_rng(0)
    encoded = [_encoded(rng) for _ in range(NUM_CLASSES * NUM_ENCODED)]
    for label in range(NUM_CLASSES):
        (folder / f"class_{label}").mkdir(parents=True)
    for index in range(num_images):
        label = index % NUM_CLASSES
        content = bytearray(encoded[label * NUM_ENCODED + index // NUM_CLASSES % NUM_ENCODED])
        table = content.index(b"\xff\xdb") + 5  # behind the marker, the length and the table's number
        content[table : table + NUM_CHANGED] = rng.integers(1, 33, NUM_CHANGED, np.uint8).tobytes()
        (folder / f"class_{label}" / f"{index:06}.jpg").write_bytes(content)


def _encoded(rng: np.random.Generator) -> bytes:
    """Coloured noise, coarse and fine, as a JPEG file."""
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).resize(
        (PIXELS, PIXELS), Image.Resampling.BICUBIC
    )
    fine = rng.integers(-20, 21, (PIXELS, PIXELS, 3))
    buffer = io.BytesIO()
    Image.fromarray((np.asarray(coarse) + fine).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=60)
    return buffer.getvalue()


def ran(root: Path, way: str, pack_gb: float, num_loaders: str) -> Iterator[tuple[str, str]]:
    """Run the stages one way, and yield the digest of each file that they leave, but for the packed pixels."""
    shutil.rmtree(root / "artifacts", ignore_errors=True)
    shutil.rmtree(root / ".cache", ignore_errors=True)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "conf", root / "conf", dirs_exist_ok=True)
    change(root, "tiny", [*OVERRIDES, f"data.pack_gb={pack_gb}", f"num_loaders={num_loaders}"])
    for stage in STAGES:
        peak_bytes, seconds = peak(root, stage)
        met = "below" if peak_bytes < LIMIT_BYTES else "ABOVE"
        print(f"{way:8} {stage:21} {seconds:7.1f} s {peak_bytes / 1e9:6.2f} GB, {met} 2 GB", flush=True)
    for path in sorted((root / "artifacts").rglob("*")):
        if path.is_file() and path.name not in {"images.u8", "images.json"}:
            yield str(path.relative_to(root)), hashlib.sha256(path.read_bytes()).hexdigest()


def peak(root: Path, stage: str) -> tuple[float, float]:
    """The most bytes that a process of a stage held, and the seconds that the stage took."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "helixnas", *stage.split()], cwd=root, env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"helixnas {stage} ended with {child.returncode}.")
    return usage.ru_maxrss * 1024, time.perf_counter() - start


if __name__ == "__main__":
    main()
