"""The journal: what kill -9 leaves behind is mended, another search's trials are never taken up."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from helixnas.search.journal import open_study


def add_trial(journal: Path, owner: str, value: float) -> None:
    study = open_study(journal, owner)
    study.tell(study.ask(), value)


def values(journal: Path, owner: str) -> list[float | None]:
    return [trial.value for trial in open_study(journal, owner).trials]


def test_a_study_goes_on_where_it_stood(tmp_path: Path) -> None:
    add_trial(tmp_path / "new" / "journal", "me", 1.0)
    add_trial(tmp_path / "new" / "journal", "me", 2.0)
    assert values(tmp_path / "new" / "journal", "me") == [1.0, 2.0]


def test_a_trial_left_running_is_failed(tmp_path: Path) -> None:
    open_study(tmp_path / "journal", "me").ask()
    (trial,) = open_study(tmp_path / "journal", "me").trials
    assert trial.state == TrialState.FAIL


def test_a_line_that_a_kill_cut_short_is_dropped(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    add_trial(journal, "me", 1.0)
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"x","stu')
    add_trial(journal, "me", 2.0)
    assert values(journal, "me") == [1.0, 2.0]


def test_the_lock_of_a_killed_process_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a relative path, as in the stage
    add_trial(Path("journal"), "me", 1.0)
    Path("journal.lock").touch()
    study = open_study(Path("journal"), "me")
    assert not Path("journal.lock").exists()  # Optuna alone would wait for it for 30 s, or with another lock for ever
    study.tell(study.ask(), 2.0)
    assert values(Path("journal"), "me") == [1.0, 2.0]


def test_another_searchs_trials_are_set_aside(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    add_trial(journal, "another", 1.0)
    assert values(journal, "me") == []
    assert values(Path(f"{journal}.old"), "another") == [1.0]


def test_a_study_without_trials_is_taken_over(tmp_path: Path) -> None:
    open_study(tmp_path / "journal", "another")
    add_trial(tmp_path / "journal", "me", 1.0)
    assert values(tmp_path / "journal", "me") == [1.0]
    assert not (tmp_path / "journal.old").exists()


@pytest.mark.parametrize("text", ["no journal\n", '{"op_code": 0}\n', "[]\n", "{}\n{}\n"])
def test_a_file_that_is_no_journal_is_set_aside(tmp_path: Path, text: str) -> None:
    journal = tmp_path / "journal"
    journal.write_text(text)
    add_trial(journal, "me", 1.0)
    assert values(journal, "me") == [1.0]
    assert Path(f"{journal}.old").read_text().startswith(text)


Damage = Callable[[list[bytes]], list[bytes]]
DAMAGE: dict[str, Damage] = {
    "a value": lambda lines: [line.replace(b"[2.0]", b"[1.5]") for line in lines],
    "a bit": lambda lines: [*lines[:-2], bytes([lines[-2][0] ^ 4]) + lines[-2][1:], lines[-1]],
    "a line gone": lambda lines: [*lines[:-3], *lines[-2:]],
    "a line twice": lambda lines: [*lines[:-1], *lines[-2:]],
    "two lines swapped": lambda lines: [*lines[:-2], lines[-1], lines[-2]],
    "no seal": lambda lines: [*lines[:-2], json.dumps({**json.loads(lines[-2]), "sha256": ""}).encode(), lines[-1]],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_no_trial_behind_a_damaged_line_is_taken_up(
    tmp_path: Path, damage: Damage, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "journal"
    for value in (1.0, 2.0, 3.0):
        add_trial(journal, "me", value)
    damaged = b"\n".join(damage(journal.read_bytes().splitlines())) + b"\n"
    journal.write_bytes(damaged)
    found = [value for value in values(journal, "me") if value is not None]
    assert found in ([1.0], [1.0, 2.0], [1.0, 2.0, 3.0])
    assert len(found) < 3 or damage is DAMAGE["a line twice"]
    assert Path(f"{journal}.old").read_bytes() == damaged
    assert "journal was damaged" in capsys.readouterr().err
    add_trial(journal, "me", 4.0)
    assert [value for value in values(journal, "me") if value is not None] == [*found, 4.0]


def test_a_folder_in_the_journals_place_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    add_trial(tmp_path / "journal", "me", 1.0)
    assert values(tmp_path / "journal", "me") == [1.0]
