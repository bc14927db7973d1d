"""Keep Optuna's journal of one study, so that a search that was killed goes on where it stopped.

Each line carries a checksum of itself and of the line before, so that a line that was changed, or is missing between
others, is found. The lines before it are whole, and the search goes on from there to the same end.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

_OWNER, _SEAL = "search", "sha256"


def open_study(journal: Path, owner: str) -> optuna.Study:
    """Open the study in ``journal``, with no trial left running, or make a new study there.

    A damaged file, or a file with the trials of another search, is set aside as ``.old``; of a damaged file, the lines
    before the damage stay. One process at a time may open a journal.

    Args:
        journal: The file, which may not exist yet.
        owner: A fingerprint of the search.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    study = _load(journal, _mend(journal))
    if study is None or (study.user_attrs.get(_OWNER) != owner and study.get_trials(deepcopy=False)):
        journal.replace(f"{journal}.old")
        study = _create(journal, "")
    study.set_user_attr(_OWNER, owner)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


class _Sealed(JournalFileBackend):  # type: ignore[misc]
    """Optuna's file, with a seal in each line; ``last`` is the seal of the last line that the file has already."""

    def __init__(self, journal: Path, last: str) -> None:
        # not the default lock, a symbolic link: where the path is relative it dangles, and a stale one blocks for ever
        super().__init__(str(journal), lock_obj=JournalFileOpenLock(str(journal)))
        self._last = last

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append lines, each with its seal."""
        sealed = []
        for log in logs:
            self._last = _seal(self._last, log)
            sealed.append({**log, _SEAL: self._last})
        super().append_logs(sealed)


def _seal(last: str, log: dict[str, Any]) -> str:
    plain = json.loads(json.dumps(log))  # as JSON is read: keys are strings
    return hashlib.sha256(f"{last}:{json.dumps(plain, sort_keys=True)}".encode()).hexdigest()[:16]


def _mend(journal: Path) -> str:
    """Undo damage and the traces of kill -9 (half a line, a lock), and return the seal of the last whole line."""
    for lock in journal.parent.glob(f"{journal.name}.lock*"):
        lock.unlink()
    if journal.is_dir():
        journal.replace(f"{journal}.old")
    text = journal.read_bytes() if journal.exists() else b""
    whole, last = _whole(text)
    if whole != text:
        if b"\n" in text[len(whole) :]:  # more than the half line of a kill
            Path(f"{journal}.old").write_bytes(text)
            print(f"{journal} was damaged; the search goes on from the trials before the damage.", file=sys.stderr)
        journal.write_bytes(whole)
    return last


def _whole(text: bytes) -> tuple[bytes, str]:
    """The lines before the first line that was changed, and the seal of the last of them."""
    last, end = "", 0
    for line in text.splitlines(keepends=True):
        try:
            log = json.loads(line)
            seal = log.pop(_SEAL)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            break
        if not line.endswith(b"\n") or seal != _seal(last, log):
            break
        last, end = seal, end + len(line)
    return text[:end], last


def _load(journal: Path, last: str) -> optuna.Study | None:
    """The study, or None if another Optuna wrote it."""
    try:
        return _create(journal, last)
    except (ValueError, KeyError, TypeError):
        return None


def _create(journal: Path, last: str) -> optuna.Study:
    storage = JournalStorage(_Sealed(journal, last))
    return optuna.create_study(study_name="refine", storage=storage, direction="minimize", load_if_exists=True)
