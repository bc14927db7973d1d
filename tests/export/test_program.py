"""Operations that cannot be exported are named, with what to do."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from helixnas.errors import ConfigError
from helixnas.export import Contract, export_program, save_onnx

IN_SHAPE = (1, 8, 8)


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else -x


class Determinant(nn.Module):
    """torch exports it, and ONNX has no such operator."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.linalg.eigvalsh(x @ x.mT)[..., None]


def network(odd: nn.Module) -> nn.Module:
    inner = nn.Sequential(nn.ReLU(), odd)
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), inner, nn.Flatten(), nn.Linear(128, 3)).eval()


def test_code_that_branches_on_values_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"torch\.export cannot export Branches \(1\.1\): .* search_space\.operations"
    ):
        export_program(network(Branches()), IN_SHAPE)


@pytest.mark.slow
def test_an_operator_that_onnx_lacks_is_named(tmp_path: Path) -> None:
    made = network(Determinant())
    program = export_program(made, IN_SHAPE)
    with pytest.raises(ConfigError, match=r"torch\.onnx cannot export Determinant \(1\.1\): .*eig.* or leave it out"):
        save_onnx(program, made, Contract(("a", "b", "c"), IN_SHAPE), tmp_path / "student.onnx")
    assert not list(tmp_path.iterdir())
