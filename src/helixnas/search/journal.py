"""Optuna's journal of one study: a search that was killed goes on where it stood."""

from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

_OWNER = "search"


def open_study(journal: Path, owner: str) -> optuna.Study:
    """The study in ``journal``, with no trial left running; a new one where there is none, or not this one.

    ``owner`` is a fingerprint of the search. A damaged file, or one with another search's trials, is set aside as
    ``.old``. One process at a time may write a journal: what DVC's own locks see to.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    _mend(journal)
    study = _load(journal)
    if study is None or (study.user_attrs.get(_OWNER) != owner and study.get_trials(deepcopy=False)):
        journal.replace(f"{journal}.old")
        study = _create(journal)
    study.set_user_attr(_OWNER, owner)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _mend(journal: Path) -> None:
    """Undo what kill -9 leaves behind: half a line, which Optuna refuses to read on from, and a lock, half undone."""
    for lock in journal.parent.glob(f"{journal.name}.lock*"):
        lock.unlink()
    if journal.exists():
        text = journal.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if whole != text:
            journal.write_bytes(whole)


def _load(journal: Path) -> optuna.Study | None:
    """The study, or None if the file is no journal."""
    try:
        return _create(journal)
    except (ValueError, KeyError, TypeError):
        return None


def _create(journal: Path) -> optuna.Study:
    # not the default lock, a symbolic link: where the path is relative it dangles, and a stale one blocks for ever
    storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=JournalFileOpenLock(str(journal))))
    return optuna.create_study(study_name="refine", storage=storage, direction="minimize", load_if_exists=True)
