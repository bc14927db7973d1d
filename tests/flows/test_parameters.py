from pathlib import Path

import pytest

from flows.parameters import override
from helixnas.config import load
from helixnas.errors import ConfigError


def test_an_override_is_written_and_the_comments_stay(project: Path) -> None:
    override(project, ["distill.lr=0.003", "search.budget.madds=20%"])
    assert load(project).distill.lr == 0.003
    assert load(project).search.budget.madds == "20%"
    assert "# fair or uniform" in (project / "params.yaml").read_text()


@pytest.mark.parametrize("wrong", ["distil.lr=0.003", "distill.lr=-1", "distill.lr=fast"])
def test_an_override_that_cannot_work_changes_nothing(project: Path, wrong: str) -> None:
    before = (project / "params.yaml").read_bytes()
    with pytest.raises(ConfigError):
        override(project, ["seed=1", wrong])
    assert (project / "params.yaml").read_bytes() == before
