"""How far a stage is: shown to whoever looks, and never the reason that it ends."""

from pathlib import Path

import pytest

from helixnas.progress import WATCHED, Reporter, read


def test_what_a_reporter_writes_is_what_a_watcher_reads(tmp_path: Path) -> None:
    report = Reporter("distill@2", tmp_path)
    report(0, 4)
    report(4, 4)
    state = read("distill@2", tmp_path)
    assert state
    assert (state.stage, state.done, state.total, state.left_s) == ("distill@2", 4, 4, 0)
    assert read("rating@2", tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["distill@2.json"]


def test_a_place_that_cannot_be_written_to_does_not_end_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(WATCHED, raising=False)
    (tmp_path / "file").touch()
    Reporter("data", tmp_path / "file")(1, 1)
    assert capsys.readouterr().err == "data: 1/1\n"
