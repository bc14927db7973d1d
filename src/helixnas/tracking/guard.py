"""SQLite itself keeps the champion: its alias may move to another version, but cannot vanish.

MLflow deletes a version or a whole model without a question, and drops their aliases in the same transaction; in which
order differs from process to process. So the guard sits where both must pass: on the deletion of the alias. MLflow's
own page and client then answer with the guard's message, and the transaction is undone. Moving an alias is an update
and passes. The trigger looks at no other table, so that MLflow's migrations, which rebuild tables, do not trip on it.

A server's store (a URI that is not SQLite) has no such guard; there ``helixnas delete`` alone refuses.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from helixnas.tracking.alias import CHAMPION

MESSAGE = (
    "the champion cannot be deleted: make another version the champion first (helixnas promote, helixnas rollback)"
)

_TRIGGER = f"""
CREATE TRIGGER IF NOT EXISTS helixnas_keep_champion
BEFORE DELETE ON registered_model_aliases WHEN OLD.alias = '{CHAMPION}'
BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END
"""


def install(database: Path) -> None:
    """Put the guard into a migrated database; nothing happens where it is already."""
    with closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        connection.execute(_TRIGGER)
