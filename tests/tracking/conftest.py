import hashlib
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import RunConfig, load
from helixnas.results import Budget, Figure, Figures, Retraining, figures_to_json
from helixnas.tracking import Store, Student, Version, begin, open_store, register
from helixnas.tracking.store import ENV, prepare
from tests.costs import three

with warnings.catch_warnings():  # MLflow warns of its own type hints while it is imported
    warnings.simplefilter("ignore")
    import mlflow.pyfunc  # noqa: F401

REPOSITORY = Path(__file__).parents[2]
NAME = "student"
FACTS = {"arch_id": "0:0", "class_names": ["dark", "light"], "in_shape": [1, 8, 8]}


class Brightness(nn.Module):
    """Tells light images from dark ones; ``bias`` = 9 calls every image light, and so is right for half."""

    def __init__(self, bias: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)
        for weight, value in ((self.conv.weight, 1 / 9), (self.conv.bias, 0.0)):
            nn.init.constant_(weight, value)
        self.head.weight.data = torch.tensor([[-1.0], [1.0]]).expand(2, 4).clone()
        self.head.bias.data = torch.tensor([1.5, -1.5 + bias])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(images).mean(dim=(2, 3)))


def images(num_images: int) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 images [N, 1, 8, 8], dark and light in turn, with their labels."""
    labels = torch.arange(num_images) % 2
    noise = torch.randint(0, 60, (num_images, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    return (noise + labels.view(-1, 1, 1, 1) * 190).to(torch.uint8), labels


def example() -> np.ndarray:
    return (images(2)[0].float() / 255).numpy()


def judge(module: nn.Module) -> torch.Tensor:
    """Which of ten images a module gets right."""
    inputs, labels = images(10)
    return module(inputs.float() / 255).argmax(1) == labels


DIGESTS = torch.arange(10)
"""Of the images that ``judge`` takes."""


def evaluate(module: nn.Module) -> float:
    return float(judge(module).double().mean())


def save_seen(path: Path, digests: Sequence[int], split: str = "feed") -> Path:
    artifacts.save_tensors(path, "seen", {"digests": torch.tensor(digests, dtype=torch.int64)}, {"split": split})
    return path


def figures(madds: int = 100, latency_ms: float | None = 1.5) -> Figures:
    rows = [Figure(name, 0.9, three(madds, 10, latency_ms)) for name in ("teacher", "before", "student")]
    kept = Retraining("retrained", 0.5, 0.75)
    return Figures("0:0", *rows, Budget(madds=200.0), 10, {"cpu": "here"}, kept, split="feed")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    prepare(path)
    return path


@pytest.fixture
def root(tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a store that needs no migration."""
    monkeypatch.delenv(ENV, raising=False)
    shutil.copy(migrated, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def store(root: Path) -> Store:
    return open_store(root, "test")


@pytest.fixture(scope="session")
def config() -> RunConfig:
    return load(REPOSITORY, [f"tracking.model_name={NAME}", "tracking.experiment=test"])


LOCK = """
schema: '2.0'
stages:
  data:
    cmd: helixnas data
    outs:
    - {path: artifacts/data/train, md5: 11111111111111111111111111111111}
  retrain:
    cmd: helixnas retrain
    outs:
    - {path: artifacts/retrain, md5: 22222222222222222222222222222222.dir}
"""


@pytest.fixture
def project(root: Path) -> Path:
    """A finished pipeline's folder: what DVC recorded, curves, figures and the page, all as the stages leave them."""
    (root / "dvc.lock").write_text(LOCK)
    for name in ("params.yaml", "dvc.yaml", "artifacts/report/report.html"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{name}\n")
    write_curve(root / folder("teacher"), ["0,loss,2.5", "1,loss,nan", "2,loss,inf", "1,val_acc,0.5"])
    write_curve(root / folder("distill", 0), [])
    write_curve(root / folder("distill", 1), [f"{step},loss,{step / 2}" for step in range(2500)])
    write_curve(root / folder("retrain"), [])
    artifacts.save_json(root / folder("report") / "figures.json", "figures", figures_to_json(figures()))
    return root


def write_curve(out: Path, rows: list[str]) -> None:
    text = "\n".join(["step,name,value", *rows]) + "\n"
    artifacts.save_bytes(out / "curve.csv", "curve", text.encode())


Add = Callable[..., Version]


@pytest.fixture
def add(store: Store, root: Path, config: RunConfig) -> Add:
    """Register a student: ``add("md5", bias=9)``. ``seen`` None: without that file, as before it was recorded."""
    arch = root / "arch.json"
    artifacts.save_json(arch, "arch", FACTS)

    def add(text: str, bias: float = 0.0, madds: int = 100, seen: Sequence[int] | None = (100, 101)) -> Version:
        files = () if seen is None else (save_seen(root / "seen.safetensors", seen),)
        return register(
            store,
            NAME,
            lambda: Student(Brightness(bias), example(), (arch, *files)),
            figures=figures(madds),
            dvc_md5=hashlib.md5(text.encode()).hexdigest(),
            commit="c0ffee",
            run_id=begin(store, root, config),
        )

    return add
