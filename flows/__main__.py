"""``python -m flows``: the search with a table at its end, for people at a terminal. ``make run`` calls it."""

import argparse
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

from flows.graph import is_current
from flows.parameters import override
from flows.servers import temporary_prefect
from helixnas.config import RunConfig, load
from helixnas.errors import HelixError
from helixnas.report import print_figures
from helixnas.stages import publish as publishing
from helixnas.stages.publish import Published

REPORT = Path("artifacts/report/report.html")


def main() -> int:
    """Bring the run up to date and print its table; the exit code is 2 for what the user can mend, 130 for Ctrl-C."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    root = Path.cwd()
    console = Console(highlight=False)
    try:
        if arguments.set:
            override(root, arguments.set)
        published = _published(root, load(root)) or _run(root, console)
    except HelixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. What was finished is kept; the next run goes on from there.", file=sys.stderr)
        return 130
    _show(published, console)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flows", description=__doc__)
    parser.add_argument(
        "--set", action="append", metavar="KEY=VALUE", help="change params.yaml first, e.g. distill.lr=0.01"
    )
    return parser.parse_args()


def _published(root: Path, config: RunConfig) -> Published | None:
    """The last run, if nothing has changed since and its student is registered. Asked before Prefect is imported."""
    if not (root / "dvc.lock").is_file() or not is_current(root):
        return None
    published = publishing.published(root, config)
    if published is not None:
        print("Nothing to do: every stage is up to date and the student is registered.\n")
    return published


def _run(root: Path, console: Console) -> Published:
    if "PREFECT_API_URL" not in os.environ:
        console.print("Starting a temporary Prefect server (up to 30 s the first time) ...")
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")  # the watcher and the messages say it better
    with temporary_prefect(root):
        from flows.search import search

        search()
    published = publishing.published(root, load(root))
    assert published is not None  # the flow ended well, so it registered
    return published


def _show(published: Published, console: Console) -> None:
    version = published.version
    aliases = ", ".join(f"@{alias}" for alias in version.aliases) or "no alias"
    print_figures(published.figures, console)
    console.print(f"\narch_id  {published.figures.arch_id}")
    console.print(f"model    {version.name}, version {version.version} ({aliases})")
    console.print(f"report   {REPORT}")


if __name__ == "__main__":
    sys.exit(main())
