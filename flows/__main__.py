"""``python -m flows``: the search with a table at its end, for people at a terminal. ``make run`` calls it.

Most calls find nothing to do, and then need no Prefect; so what is heavy is imported where it is used.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Collection
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from flows.foresight import foresee
from flows.graph import read_changed
from flows.parameters import change
from flows.servers import start_temporary_prefect
from helixnas.artifacts import CACHE, folder
from helixnas.config import RunConfig, load
from helixnas.errors import EnvironmentFault, HelixError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from helixnas.registry.publish import Published
    from helixnas.results import Figures
    from helixnas.tracking import Version

    Result = tuple[Figures, Version | None]

REPORT = folder("report") / "report.html"
LOG_WIDTH = 120
"""Columns of the table where there is no terminal to ask."""


class RunError(Exception):
    """A stage broke in a way that the user cannot mend; the text names its log."""


def main() -> int:
    """Bring the run up to date and print its table.

    The exit code is 2 for what the user can mend, 1 for a stage that broke otherwise, 130 when stopped.
    """
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    root = Path.cwd()
    try:
        change(root, arguments.preset, arguments.set)
        config = load(root)
        changed = read_changed(root)
        result = None if changed or arguments.force else _current(root, config, register=arguments.register)
        figures, version = result or _run(root, changed, register=arguments.register)
    except (HelixError, RunError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, HelixError) else 1
    except KeyboardInterrupt:
        print("Stopped. What was finished is kept, and the next run goes on from there.", file=sys.stderr)
        return 130
    from helixnas.report import print_figures

    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else LOG_WIDTH)
    print_figures(figures, console)
    console.print(f"\narch_id  {figures.arch_id}")
    if version is not None:
        aliases = ", ".join(f"@{alias}" for alias in version.aliases) or "no alias"
        console.print(f"model    {version.name}, version {version.version} ({aliases})")
    console.print(f"report   {REPORT}")
    if version is not None and "challenger" in version.aliases:
        console.print("next     make promote, then helixnas export --to FOLDER for its files")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flows", description="From a trained teacher to a student.")
    add = parser.add_argument
    add("--preset", metavar="NAME", help="fill params.yaml from conf/preset/NAME.yaml first")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change params.yaml first, after the preset: distill.lr=0.01",
    )
    add("--no-register", dest="register", action="store_false", help="leave MLflow alone")
    add("--force", action="store_true", help="start the flow even if nothing changed; DVC still skips what is current")
    return parser.parse_args()


def _current(root: Path, config: RunConfig, *, register: bool) -> Result | None:
    """The last run's result, since which nothing has changed, if its student is registered."""
    from helixnas.registry import publish as publishing

    if not register:
        print("Nothing to do: every stage is up to date.\n")
        return publishing.load_figures(root), None
    published = publishing.published(root, config)
    if published is None:
        return None
    print("Nothing to do: every stage is up to date and the student is registered.\n")
    return published.figures, published.version


def _run(root: Path, changed: Collection[str], *, register: bool) -> Result:
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")  # the bars and messages say it better
    console = Console(stderr=True, highlight=False)
    _prepare(root, console, is_planned=bool(changed))
    from flows.run_stage import BROKEN, FAULT
    from flows.search import search
    from helixnas.registry.publish import load_figures

    try:
        state: State[Any] = search(register_student=register, return_state=True)
    except RuntimeError as error:  # of Prefect itself: what the flow raises is in the state
        raise EnvironmentFault(
            f"Prefect's server must answer, but: {error}. Its output is in {CACHE / 'logs' / 'prefect.log'}; "
            "unset PREFECT_API_URL to use a temporary one."
        ) from error
    if state.name == FAULT:
        raise HelixError(state.message)
    if state.name == BROKEN:
        raise RunError(state.message)
    published: Published | None = state.result()
    return (published.figures, published.version) if published else (load_figures(root), None)


def _prepare(root: Path, console: Console, *, is_planned: bool) -> None:
    """Prefect's server, and beside its start a plan: a run that cannot work ends before it trains anything."""
    began = time.monotonic()
    text = f"Starting Prefect's server{', and planning the run' if is_planned else ''}, about 15 s"
    with console.status(text), foresee(root) if is_planned else nullcontext() as check:
        if not console.is_terminal:
            console.print(f"{text} ...")
        wait_until_up = start_temporary_prefect(root)
        import flows.search  # noqa: F401  # takes seconds, while the server starts

        wait_until_up()
        told = check() if check is not None else []
    for line in told:
        console.print(line)
    console.print(f"Prefect's server is up after {time.monotonic() - began:.0f} s", style="dim")


if __name__ == "__main__":
    sys.exit(main())
