"""What every stage has at hand: its parameters, its device and threads, its progress, its place to resume from."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import helixnas
from helixnas import source
from helixnas.artifacts import CACHE, folder, save_text
from helixnas.config import RunConfig
from helixnas.data import derive_seed
from helixnas.errors import ConfigError
from helixnas.progress import Reporter

SPEED = {"teacher": {"features", "cache_gb"}, "distill": {"groups"}}
"""The keys that change how fast a stage is and nothing else: a half-done run goes on under others."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One run of one stage. ``name`` is DVC's, such as ``distill@2``."""

    name: str
    config: RunConfig
    root: Path
    device: torch.device
    seed: int
    progress: Reporter

    @property
    def out(self) -> Path:
        """The stage's own folder under ``artifacts/``."""
        stage, _, block_id = self.name.partition("@")
        return self.root / folder(stage, int(block_id) if block_id else None)

    def resume_folder(self, sections: Sequence[str], inputs: Sequence[Path]) -> Path:
        """Where a half-done run of exactly this work lies: the name is a digest of parameters, inputs and code."""
        code = source.digest(self.root / "examples", self.root / "own")
        digest = hashlib.sha256(f"{code}:{self.name}:{self.config.seed}".encode())
        dump = self.config.model_dump(mode="json", exclude=SPEED)
        digest.update(json.dumps([dump[section] for section in sections], sort_keys=True).encode())
        for path in inputs:
            digest.update(path.read_bytes())
        return self.root / CACHE / "resume" / f"{self.name}-{digest.hexdigest()[:16]}"


def begin(name: str, config: RunConfig, num_threads: int, root: Path = Path()) -> Setting:
    """Prepare this process for a stage: threads as ``params.yaml`` states them, kernels that repeat to the bit."""
    torch.set_num_threads(num_threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return Setting(name, config, root, _device(config.device), derive_seed(config.seed, name), Reporter(name))


def _device(asked: str) -> torch.device:
    has_cuda = torch.cuda.is_available()
    if asked == "cuda" and not has_cuda:
        raise ConfigError("device is 'cuda', so torch must see a GPU, but sees none. Set device: auto in params.yaml.")
    return torch.device("cuda" if has_cuda and asked != "cpu" else "cpu")


class Curve:
    """The points that a stage logs. They survive kill -9 beside the checkpoint, and end as ``curve.csv``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._points: dict[tuple[str, int], float] = {}
        if path.is_file():
            for line in path.read_text().splitlines():
                self._remember(line)

    def _remember(self, line: str) -> None:
        try:
            name, step, value = json.loads(line)
        except ValueError:  # the line that a kill cut short: its epoch is run again
            return
        self._points[name, step] = value

    def __call__(self, name: str, value: float, step: int) -> None:
        self._points[name, step] = value
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write("\n" + json.dumps([name, step, value]))  # not behind: the line before may be cut short

    def save(self, path: Path) -> None:
        """Write ``step,name,value``, by name and step."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["step", "name", "value"])
        writer.writerows((step, name, repr(value)) for (name, step), value in sorted(self._points.items()))
        save_text(path, text.getvalue())


def clear(resume: Path) -> None:
    """Remove a resume folder: its work has ended and its results are saved."""
    for path in sorted(resume.glob("*"), reverse=True):
        path.unlink()
    if resume.is_dir():
        resume.rmdir()


def environment_facts() -> dict[str, Any]:
    """What a reader of the report must know of the process: versions and threads."""
    return {"omp_num_threads": os.environ.get("OMP_NUM_THREADS", "unset"), "helixnas": helixnas.__version__}
