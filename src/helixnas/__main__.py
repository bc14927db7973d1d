"""The command line: ``helixnas <stage>`` as dvc.yaml calls it, and what people do with the result.

Imports are lazy, so that ``--help`` answers at once.
"""

import errno
import importlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from helixnas.custom import blame, printing_to_stderr, reason
from helixnas.errors import ConfigError, HelixError
from helixnas.memory import keep_freed_memory, lacks_memory

if TYPE_CHECKING:
    from helixnas.config import RunConfig

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
STAGES = "Stages, as dvc.yaml runs them"
OF_A_BLOCK = {"distill", "rating"}
MODELS = "Registered models"
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
HEAVY = {
    "teacher": "teacher.recipe.batch_size, the sizes in teacher.model_args, data.image_size",
    "distill": "distill.batch_size, search_space.expansions, data.image_size",
    "rating": "rating.batch_size, rating.memory_mib, data.image_size",
    "cost": "cost.latency.batch_size, search_space.expansions, data.image_size",
    "retrain": "retrain.recipe.batch_size, data.image_size",
    "compare": "retrain.recipe.batch_size, data.image_size",
    "plan": "cost.latency.batch_size, distill.batch_size, the sizes in teacher.model_args, data.image_size",
}
"""What to lower where memory does not suffice; for other commands, the images' size."""

BlockId = Annotated[int, typer.Option("--block-id", min=0, help="Which block, counted from 0.")]
VersionOption = Annotated[int | None, typer.Option("--version", min=1, help="This version, not the challenger.")]


def _config(block_id: int = 0) -> "RunConfig":
    """Read before a stage is imported: a slip in params.yaml is told at once, not after torch is loaded."""
    from helixnas.config import load

    config = load(Path())
    num_blocks = len(config.teacher.block_ids)
    if block_id >= num_blocks:
        raise ConfigError(f"--block-id must be below {num_blocks}, the number of teacher.blocks, but is {block_id}.")
    return config


def _add_stage(name: str, text: str) -> None:
    """Make the command of a stage, which loads the stage's file once params.yaml is read."""

    def run() -> None:
        config = _config()
        importlib.import_module(f"helixnas.stages.{name}").run(config)

    def run_block(block_id: BlockId) -> None:
        config = _config(block_id)
        importlib.import_module(f"helixnas.stages.{name}").run(config, block_id)

    app.command(name, help=text, rich_help_panel=STAGES)(run_block if name in OF_A_BLOCK else run)


_add_stage("custom", "Write down which custom code and weights the data and the teacher come from.")
_add_stage("data", "Split the images into train, rating and test parts.")
_add_stage("teacher", "Load or train the teacher, cut it into blocks, prove the cut.")
_add_stage("search_space", "Write down the choices of each block.")
_add_stage("distill", "Train one block's supernet to imitate the teacher's block.")
_add_stage("rating", "Rate every path of one block on held-out images.")
_add_stage("cost", "Count madds and num_params of every path, and measure latency.")
_add_stage("search", "Find the best architecture under search.budget: exactly, then by measuring.")
_add_stage("retrain", "Train the chosen student.")
_add_stage("compare", "Train the obvious alternatives alike: the teacher with layers left out, at the same cost.")


@app.command(rich_help_panel=STAGES)
def export(
    to: Annotated[Path | None, typer.Option(help="Copy a registered version's files to this new folder.")] = None,
    alias: Annotated[str, typer.Option(help="Which version, with --to: champion, challenger, previous.")] = "champion",
) -> None:
    """Write the student as files that run without this program, and prove them; or copy a version's files with --to."""
    config = _config()
    if to is None:
        from helixnas.stages import export as stage

        stage.run(config)
    else:
        from helixnas.registry import promote as promoting

        for path in promoting.export(Path(), config, to, alias):
            print(path)


_add_stage("report", "Take the final figures on the test part and write the report.")


@app.command(rich_help_panel="Before a run")
def plan(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Tell in seconds what a run would do: the cut, the choices, the budgets in reach, time, memory and disk."""
    from dataclasses import asdict

    from helixnas.errors import InfeasibleBudgetError
    from helixnas.plan.planning import plan
    from helixnas.report import print_plan

    with printing_to_stderr():  # what custom code prints is no part of the plan
        made = asdict(plan(_config()))
    if as_json:
        print(json.dumps(made, indent=1))
    else:
        from rich.console import Console

        print_plan(made, Console(width=None if sys.stdout.isatty() else 120))
    if made["fault"]:
        raise InfeasibleBudgetError(made["fault"])


@app.command(rich_help_panel=MODELS)
def latency(
    file: Annotated[Path, typer.Argument(help="An ONNX file.")],
    batch_size: Annotated[int, typer.Option(min=1, max=65536, help="Images of one query.")] = 1,
    num_queries: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many; MLPerf asks 1,024.")] = 1024,
    max_s: Annotated[float | None, typer.Option(min=0.001, help="End after so many seconds, though fewer.")] = None,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of ONNX Runtime.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Measure an ONNX file as the students' are: one query after another, the median and what 90 % take at most."""
    from helixnas.runtimes import file_latency

    facts = file_latency(file, batch_size, num_queries, max_s, threads)
    if as_json:
        print(json.dumps(facts, indent=1))
    else:
        print(
            f"{file}: median {facts['p50_ms']:.3f} ms, 90 % {facts['p90_ms']:.3f} ms "
            f"(n = {facts['num_queries']} queries of {batch_size}, {facts['runtime']})"
        )


@app.command(rich_help_panel=MODELS)
def publish() -> None:
    """Record the last run in MLflow and register its student: what `make run` does after the stages."""
    config = _config()
    from helixnas.registry import publish as publishing

    version = publishing.publish(Path(), config).version
    print(f"{version.name} version {version.version} ({', '.join(version.aliases) or 'no alias'})")


@app.command(rich_help_panel=MODELS)
def promote(version: VersionOption = None) -> None:
    """Make the challenger the champion, if it passes the gate: the budget, and accuracy on the test part."""
    config = _config()
    from helixnas.registry import promote as promoting

    print(promoting.promote(Path(), config, version).reason)


@app.command(rich_help_panel=MODELS)
def rollback() -> None:
    """Make the previous champion the champion again."""
    config = _config()
    from helixnas.registry import promote as promoting

    version = promoting.rollback(Path(), config)
    print(f"{version.name} version {version.version} is the champion again.")


@app.command(rich_help_panel=MODELS)
def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    alias: Annotated[str, typer.Option(help="Which version: champion, challenger, previous.")] = "champion",
) -> None:
    """Classify image files with a registered student."""
    config = _config()
    from helixnas.registry import promote as promoting

    for path, class_name, probability in promoting.predict(Path(), config, images, alias):
        shown = str(path).encode(errors="backslashreplace").decode()  # a file's name may be no text
        print(f"{shown}\t{class_name}\t{probability:.4f}")


@app.command(rich_help_panel=MODELS)
def versions() -> None:
    """List the registered students, the newest first."""
    config = _config()
    from helixnas.registry import promote as promoting
    from helixnas.telling import quantity

    registered = promoting.versions(Path(), config)
    if not registered:
        print("No student is registered yet. `make run` registers one.", file=sys.stderr)
    for version in registered:
        aliases = " ".join(f"@{alias}" for alias in version.aliases)
        madds = quantity("madds", version.cost["madds"])
        print(f"{version.version}\t{version.top1_acc:.2%}\t{madds} madds\t{version.arch_id}\t{aliases}")


@app.command(rich_help_panel=MODELS)
def delete(
    version: Annotated[int, typer.Argument(min=1, help="The version's number.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a registered student for good, with its files; never the champion or the previous one."""
    config = _config()
    from helixnas.registry import promote as promoting

    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(f"--yes must be given where nobody can be asked: version {version} is deleted for good.")
        typer.confirm(f"Delete version {version} for good, with its files?", abort=True)
    promoting.delete(Path(), config, version)
    print(f"Version {version} is deleted.")


@app.command(rich_help_panel="After a run")
def rank(
    predictions: Annotated[Path, typer.Argument(help="CSV, one row an architecture, such as a run's trials.csv.")],
    truths: Annotated[Path | None, typer.Argument(help="CSV with the truth; unless it stands in the first.")] = None,
    truth: Annotated[str, typer.Option(help="The column that was measured, such as top1_acc.")] = "top1_acc",
    predictor: Annotated[list[str], typer.Option(help="A column that predicts. Repeat it for more.")] = [  # noqa: B006
        "predicted_loss"
    ],
    by: Annotated[str, typer.Option(help="The column that names an architecture in both files.")] = "arch_id",
    cost: Annotated[str | None, typer.Option(help="A column for cost bands and budgets, such as madds.")] = None,
    widths: Annotated[str, typer.Option(help="Columns of widths, such as c0,c1,c2.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Tell how well predictions order architectures that were measured, with trivial predictors beside them.

    Columns whose name says loss, rating, error or kl are low-is-good; all others are high-is-good.
    """
    from dataclasses import asdict

    from helixnas.agreement import rank as held_against
    from helixnas.agreement import read_columns

    table = read_columns(predictions, truths or predictions, by)
    rankings = held_against(table, predictor, truth, cost, [name for name in widths.split(",") if name])
    if as_json:
        print(json.dumps([asdict(ranking) for ranking in rankings], indent=1))
    else:
        from rich.console import Console

        from helixnas.report import print_rankings

        print_rankings(rankings, len(table), truth, Console(width=None if sys.stdout.isatty() else 140))


def main() -> None:
    """Run a command; a fault that the user can mend ends with one message and exit code 2."""
    # before torch is loaded: idle threads must sleep, or two stages at once slow each other tenfold
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    try:
        app(prog_name="helixnas")
    except HelixError as error:
        _fail(str(error))
    except (Exception, SystemExit) as error:
        if lacks_memory(error):
            command = next((word for word in sys.argv[1:] if word in HEAVY), "")
            _fail(
                f"The machine must have the memory that {command or 'this'} asks for, but: {reason(error)}. "
                f"Lower {HEAVY.get(command, 'data.image_size')} or flow.num_workers in params.yaml, or free some "
                "memory, and run this again."
            )
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            _fail(f"Files must have room to grow, but: {error}. Free some space and run this again.")
        if told := blame(error):
            _fail(f"Custom code must run without errors, but: {reason(error)}. {told}")
        raise


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
