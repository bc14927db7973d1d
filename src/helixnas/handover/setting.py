"""What every stage has at hand: its parameters, its device and threads, its progress, its place to resume from."""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import helixnas
from helixnas import source
from helixnas.artifacts import CACHE, folder, save_bytes
from helixnas.config import RunConfig
from helixnas.data import derive_seed, resolve_loaders
from helixnas.errors import ConfigError
from helixnas.fit import Checkpoint
from helixnas.progress import Reporter

CURVE = "curve"
"""The kind of ``curve.csv``."""
SPEED = {"data": {"pack_gb"}, "teacher": {"features", "cache_gb"}, "distill": {"groups"}}
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

    @property
    def num_loaders(self) -> int:
        """The number of processes that make batches ahead."""
        return resolve_loaders(self.config.num_loaders, self.device)

    def resume_folder(self, sections: Sequence[str], inputs: Sequence[Path]) -> Path:
        """Where a half-done run of exactly this work lies: the name is a digest of parameters, inputs and code.

        Args:
            sections: The sections of params.yaml on which the work depends.
            inputs: The files on which it depends; those that name custom code count always.
        """
        stage = self.name.partition("@")[0]
        way = getattr(getattr(self.config, stage), source.WAYS[stage][0]) if stage in source.WAYS else None
        code = source.stage_digest(stage, way)
        inputs = [*inputs, *sorted((self.root / folder("custom")).glob("*.json"))]
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
    has_cuda = torch.cuda.is_available()
    if config.device == "cuda" and not has_cuda:
        raise ConfigError("device is 'cuda', so torch must see a GPU, but sees none. Set device: auto in params.yaml.")
    device = torch.device("cuda" if has_cuda and config.device != "cpu" else "cpu")
    return Setting(name, config, root, device, derive_seed(config.seed, name), Reporter(name))


class Curve:
    """The points that a stage logs. They end as ``curve.csv``; until then ``Resumable`` keeps them."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, int], float] = {}

    def __call__(self, name: str, value: float, step: int) -> None:
        """Add a point to the curve of a name."""
        self.points[name, step] = value

    def save(self, path: Path) -> None:
        """Write ``step,name,value``, by name and step, sealed."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["step", "name", "value"])
        writer.writerows((step, name, repr(value)) for (name, step), value in sorted(self.points.items()))
        save_bytes(path, CURVE, text.getvalue().encode())


class Resumable(Checkpoint):
    """A checkpoint that keeps a curve in the same file: after a kill, neither is older than the other."""

    def __init__(self, path: Path, curve: Curve) -> None:
        super().__init__(path)
        self.curve = curve

    def save(self, state: dict[str, Any]) -> None:
        """Save a state, and the curve with it."""
        super().save({**state, CURVE: self.curve.points})

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None to start afresh; the curve gets its points back."""
        state = super().load()
        if state is not None:
            self.curve.points = state.pop(CURVE)
        return state


def clear(resume: Path) -> None:
    """Remove a resume folder: its work has ended and its results are saved."""
    if resume.is_dir():
        shutil.rmtree(resume)


def environment_facts() -> dict[str, Any]:
    """What a reader of the report must know of the process: versions and threads."""
    return {"omp_num_threads": os.environ.get("OMP_NUM_THREADS", "unset"), "helixnas": helixnas.__version__}
