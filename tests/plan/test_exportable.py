"""A part that cannot leave as a file is named before any training."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helixnas.cut import CutTeacher
from helixnas.errors import ConfigError
from helixnas.plan.exportable import require_exportable
from helixnas.search_space import SearchSpace


class Branches(nn.Module):
    """Decides by a value, which no graph can."""

    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else -x


def test_a_teacher_that_can_leave_passes(teacher: CutTeacher, space: SearchSpace) -> None:
    require_exportable(teacher, space, torch.rand(2, 1, 8, 8))


def test_a_part_that_branches_on_values_is_named() -> None:
    stem = nn.Sequential(nn.Conv2d(1, 2, 3), Branches())
    given: Any = SimpleNamespace(stem=stem, blocks=(), head=nn.Flatten())
    space: Any = SimpleNamespace(blocks=())
    told = (
        r"torch\.export cannot export the teacher's stem, in Branches \(1\): .*\. Write it with torch's own operators"
    )
    with pytest.raises(ConfigError, match=told):
        require_exportable(given, space, torch.rand(2, 1, 8, 8))
