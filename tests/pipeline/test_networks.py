"""Any trained network: each kind goes through every stage and ends as a retrained student that predicts."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from flows.parameters import change
from helixnas import artifacts
from helixnas.config import load
from helixnas.data import ImageSet
from helixnas.handover.student import load_deployed
from tests.conftest import ROOT, whole
from tests.project import new_project, run_all

pytestmark = pytest.mark.slow

SIZE_32 = "data.image_size=32"
Network = tuple[str, dict[str, object], list[str]]
"""Source, arguments, and what else params.yaml must say."""

NETWORKS: dict[str, Network] = {
    "resnet": ("timm:resnet18", {"channels": [8, 16, 24, 32]}, []),
    "mobilenet": ("timm:mobilenetv3_small_050", {}, [SIZE_32]),
    "efficientnet": ("timm:efficientnet_b0", {}, [SIZE_32]),
    "convnext": ("timm:convnext_atto", {"dims": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}, [SIZE_32]),
    "vit": (
        "timm:vit_tiny_patch16_224",
        {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 6, "num_heads": 3},
        [SIZE_32],
    ),
    "swin": (
        "timm:swin_tiny_patch4_window7_224",
        {
            "img_size": 32,
            "patch_size": 2,
            "window_size": 4,
            "embed_dim": 24,
            "depths": [1, 1, 2],
            "num_heads": [1, 2, 3],
        },
        [SIZE_32],
    ),
    "torchvision": (
        "torchvision:squeezenet1_1",
        {},
        ["data.channels=3", SIZE_32, "data.source=folder", "data.path=images", "rating.num_calibration_images=16"],
    ),
}


def run(
    root: Path, source: str, model_args: Mapping[str, object], overrides: Sequence[str], blocks: object = "auto"
) -> None:
    """Every stage in ``root``, for a teacher that a preset of the user's own names."""
    new_project(root)
    teacher = {"source": source, "model_args": model_args, "blocks": blocks, "block_ids": [0, 1, 2]}
    (root / "conf/preset/mine.yaml").write_text(yaml.safe_dump({"teacher": teacher}))
    change(root, "mine", overrides)
    run_all(root)


def assert_student(root: Path) -> None:
    """It was chosen and retrained, it predicts, and its figures are those of the network itself."""
    config = load(root)
    figures = artifacts.load_json(root / "artifacts/report/figures.json", "figures")
    assert figures["student"]["cost"]["num_params"] > 0
    images = whole(ImageSet.load(root / "artifacts/data/test"))
    with torch.no_grad():
        logits = load_deployed(root, config)(images[:4].float() / 255)
    assert logits.shape[0] == 4
    assert logits.isfinite().all()


def paint(folder: Path) -> None:
    """Three classes of coloured noise, ten images each."""
    rng = np.random.default_rng(0)
    for label in range(3):
        (folder / str(label)).mkdir(parents=True)
        for index in range(20):
            pixels = rng.integers(0, 128, (32, 32, 3), np.uint8)
            pixels[..., label] += 100
            Image.fromarray(pixels).save(folder / str(label) / f"{index}.png")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_known_network_ends_as_a_retrained_student(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "images")
    run(tmp_path, *NETWORKS[name])
    assert_student(tmp_path)


def test_everything_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples: a network with trained weights, images, an operation, all from the user's own files."""
    from examples.cifar_resnet import resnet

    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (120, 3, 20, 24), np.uint8), np.arange(120) % 4
    np.savez(tmp_path / "mine.npz", images=images, labels=labels, class_names=["a", "b", "c", "d"])
    save_file(resnet([1, 1, 1], num_classes=4).state_dict(), tmp_path / "weights.safetensors")
    overrides = [
        "data.source='factory:examples.arrays:load'",
        "data.path=mine.npz",
        "teacher.weights=weights.safetensors",
        "teacher.recipe.epochs=0",
        "rating.num_calibration_images=16",
        "distill.batch_size=16",
        "retrain.recipe.batch_size=16",
        "search_space.operations=['examples.ghost:ghost']",
    ]
    args = {"depths": [1, 1, 1], "num_classes": 4}
    listed = [["layer1"], ["layer2"], ["layer3"]]
    run(tmp_path, "factory:examples.cifar_resnet:resnet", args, overrides, listed)
    assert_student(tmp_path)
    ratings, _ = artifacts.load_table(tmp_path / "artifacts/rating/block_0/rating.parquet", "ratings")
    assert len(ratings) == 1 + 1 + 3 + 3**2  # the teacher's, a skip, then mb_k3, mb_k5 and ghost in one layer or two


def test_a_space_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    run(tmp_path, *NETWORKS["resnet"][:2], ["search_space.name='factory:examples.two_kernels:cells'"])
    assert_student(tmp_path)
