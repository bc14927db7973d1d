"""What a stage costs over its computing, in a flow and by itself, and a whole run where nothing is to do.

The tiny preset in a temporary copy of the project. The same function is called in a loop in this process. In a flow,
DVC runs a stage as a fork of a process that has torch loaded; `dvc repro` by itself starts one from scratch.
Run: python benchmarks/stage_cost.py
"""

import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch reads it
sys.path.append(str(Path(__file__).parent.parent))  # flows is no package that is installed

import contextlib
import shutil
import statistics
import subprocess
import tempfile

from figure import ROOT, Figure, in_turns, publish, timed

from flows.processes import Processes
from helixnas import forkserver
from helixnas.config import load
from helixnas.stages import rating

NUM_ROUNDS = 3
COPIED = (
    "params.yaml",
    "dvc.yaml",
    ".dvcignore",
    "conf",
    "flows",
    "prefect.yaml",
    "pyproject.toml",
    "examples",
    "own",
    "datasets",
    "src",
)
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
}


def command(root: Path, *words: str, **settings: str) -> None:
    environment = {**ENVIRONMENT, **settings}
    done = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def new_project(root: Path) -> None:
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, root / name)
    command(root, "git", "init", "--quiet")
    command(root, "dvc", "init", "--quiet")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        new_project(root)
        run = (sys.executable, "-m", "flows", "--preset", "tiny")
        first_s = timed(lambda: command(root, *run))[0]
        again = tuple(timed(lambda: command(root, *run))[0] for _ in range(NUM_ROUNDS))

        def by_function() -> None:
            (root / "artifacts/rating/block_0/rating.parquet").unlink(missing_ok=True)
            with contextlib.chdir(root):
                rating.run(load(root), 0)

        def by_dvc(**settings: str) -> None:
            command(root, "dvc", "repro", "--quiet", "--force", "--single-item", "rating@0", **settings)

        with Processes() as processes:
            processes.settings |= forkserver.launch(processes.start, processes.folder(), root)

            def in_flow() -> None:
                by_dvc(**processes.settings)

            for warm_up in (by_function, in_flow):  # torch's first call is slower, and the server has to load it
                warm_up()
            rounds = in_turns([by_function, in_flow, by_dvc], NUM_ROUNDS)
    inside = statistics.median(done[0][0] for done in rounds)
    torch_s = min(timed(lambda: command(ROOT, sys.executable, "-c", "import torch"))[0] for _ in range(NUM_ROUNDS))
    publish(
        *(
            Figure(
                f"a stage's cost over its computing, {name}",
                f"the same function in a loop, {inside:.2f} s a call",
                tuple(done[position][0] - done[0][0] for done in rounds),
                1,
                "s",
                is_more_better=False,
                note=f"importing torch alone takes {torch_s:.1f} s",
            )
            for position, name in ((1, "in a flow"), (2, "by dvc repro alone"))
        ),
        Figure(
            "a whole run where nothing is to do",
            f"the first run of the tiny preset, {first_s:.0f} s",
            again,
            15,
            "s",
            is_more_better=False,
        ),
    )


if __name__ == "__main__":
    main()
