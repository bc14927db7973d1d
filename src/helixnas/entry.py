"""The program ``helixnas``: handed to a fork server where a flow runs one, else the command line in this process."""

import os
import sys

from helixnas.forkserver import ADDRESS, ask


def main() -> None:
    """Run the command line, wherever it is soonest; what it does and prints is the same."""
    address = os.environ.get(ADDRESS)
    code = ask(address) if address else None
    if code is not None:
        sys.exit(code)
    from helixnas.__main__ import main as run

    run()
