"""Students of four families leave as files that compute what they do, and need nothing of ours."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from helixnas.data import read_images
from helixnas.errors import ExportError
from helixnas.export import (
    MODULE,
    ONNX,
    PT2,
    WEIGHTS,
    logits,
    open_file,
    prove,
)
from helixnas.runtimes import OPSET, Latency
from tests.export.conftest import CLASSES, TEACHERS, Exported, part

MAIN = [ONNX, PT2, MODULE]
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("mobilenetv3", "vit")]
NAMES = ["example", "resnet18", *SLOW]
SOON = Latency(1.0, 1.0, 9)


@pytest.mark.parametrize("name", NAMES)
def test_every_file_computes_what_the_student_does(exported: Callable[[str], Exported], name: str) -> None:
    made = exported(name)
    test = part(made.contract.in_shape, 50)
    wanted = logits(made.student, test)
    assert float(wanted.std(dim=0).min()) > 1e-4  # images are told apart, or agreement would mean nothing
    for file in MAIN:
        run = open_file(made.folder / file, 1)
        proof = prove(made.folder / file, run, wanted, test, SOON, 1)
        proof.require(1e-4)
        assert proof.agreement == 1.0
        assert run(torch.rand(1, *made.contract.in_shape)).shape == (1, 10)


@pytest.mark.parametrize("name", NAMES)
def test_the_module_is_read_by_a_person_and_trained_by_torch(exported: Callable[[str], Exported], name: str) -> None:
    made = exported(name)
    text = (made.folder / MODULE).read_text()
    assert {alias for node in ast.walk(ast.parse(text)) for alias in _imported(node)} == {"json", "pathlib", "torch"}
    assert "torch.ops" not in text
    assert text.index("# stem") < text.index("# block 0") < text.index("# block 1") < text.index("# head")
    plain = open_file(made.folder / MODULE, 1)
    assert isinstance(plain, torch.nn.Module)
    plain.train()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.05)
    images, labels = torch.rand(20, *made.contract.in_shape), torch.arange(20) % 10
    losses = []
    for _ in range(6):
        loss = torch.nn.functional.cross_entropy(plain(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(parameter.grad is not None for parameter in plain.parameters())


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    return [str(node.module).partition(".")[0]] if isinstance(node, ast.ImportFrom) else []


def test_the_onnx_file_says_what_goes_in_and_what_comes_out(exported: Callable[[str], Exported]) -> None:
    model = onnx.load(exported("resnet18").folder / ONNX)
    said = {each.key: each.value for each in model.metadata_props}
    assert json.loads(said["class_names"]) == list(CLASSES)
    assert json.loads(said["in_shape"]) == [3, 32, 32]
    assert "pixels from 0 to 1" in said["input"]
    assert [(each.domain, each.version) for each in model.opset_import] == [("", OPSET)]
    (given,) = model.graph.input
    first, *others = given.type.tensor_type.shape.dim
    assert first.dim_param
    assert [each.dim_value for each in others] == [3, 32, 32]
    assert str(Path.cwd()) not in str(model)  # no traces of the machine that it was made on


def test_a_file_of_other_weights_is_refused_by_name_and_figure(
    exported: Callable[[str], Exported], tmp_path: Path
) -> None:
    made = exported("example")
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    data = bytearray((tmp_path / WEIGHTS).read_bytes())
    data[-40:] = np.full(10, 3.0, np.float32).tobytes()  # the head's last rows
    (tmp_path / WEIGHTS).write_bytes(data)
    test = part(made.contract.in_shape, 50)
    wanted = logits(made.student, test)
    proof = prove(tmp_path / MODULE, open_file(tmp_path / MODULE, 1), wanted, test, SOON, 1)
    with pytest.raises(ExportError, match=rf"^{MODULE} must give .* but differs by {proof.max_difference:.3g} on"):
        proof.require(1e-3)
    with pytest.raises(ExportError, match=rf"^{MODULE} must name .* but does of {proof.agreement:.2%}\."):
        proof.require(1e6)


def test_an_answer_that_is_no_number_is_refused(exported: Callable[[str], Exported]) -> None:
    made = exported("example")
    test = part(made.contract.in_shape, 10)
    wanted = logits(made.student, test)
    proof = prove(made.folder / ONNX, lambda images: torch.full((len(images), 10), torch.nan), wanted, test, SOON, 1)
    with pytest.raises(ExportError, match=r"differs by nan"):
        proof.require(1e-3)


WITH_ONNX = """
import sys
import numpy as np
import onnxruntime
from PIL import Image
image = Image.open("image.png").convert("RGB")
images = (np.asarray(image, np.float32) / 255).transpose(2, 0, 1)[None]
session = onnxruntime.InferenceSession("student.onnx")
print(*session.run(None, {"images": images})[0][0])
print([name for name in sys.modules if name.partition(".")[0] in ("torch", "timm", "helixnas", "safetensors")])
"""
WITH_TORCH = """
import sys
import torch
from model import CLASS_NAMES, IN_SHAPE, load
images = torch.load("images.pt", weights_only=True)
print(*load("student.safetensors")(images)[0].tolist())
print([name for name in sys.modules if name.partition(".")[0] in ("timm", "helixnas", "safetensors", "onnx")])
assert len(CLASS_NAMES) == 10 and IN_SHAPE == (3, 32, 32)
"""


@pytest.mark.parametrize("code", [WITH_ONNX, WITH_TORCH], ids=["onnxruntime and numpy", "torch"])
def test_a_process_without_ours_classifies_an_image_file(
    exported: Callable[[str], Exported], tmp_path: Path, code: str
) -> None:
    made = exported("resnet18")
    needed = [ONNX] if code == WITH_ONNX else [MODULE, WEIGHTS]
    for file in needed:
        shutil.copy(made.folder / file, tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")  # of the student's size: how it is scaled is not the question
    images = read_images([tmp_path / "image.png"], (3, 32, 32)).float() / 255
    torch.save(images, tmp_path / "images.pt")
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, '.')\n{code}"],
        cwd=tmp_path,
        env={"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    wanted = made.student(images)[0]
    got = torch.tensor([float(value) for value in answer.split()])
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-3 * float(wanted.abs().max()))
    assert int(got.argmax()) == int(wanted.argmax())


def test_all_families_are_tried() -> None:
    assert {name if isinstance(name, str) else str(name.values[0]) for name in NAMES} == set(TEACHERS)
