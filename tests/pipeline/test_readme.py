"""Every command of the README, in its order, in a checkout where the tiny preset has run."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from flows.parameters import change
from flows.processes import environment
from flows.servers import free_port
from tests.conftest import ROOT
from tests.pipeline.conftest import call, set_up
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.flow]

ELSEWHERE = {
    "make test": "is what runs this, by .ci/run in an environment of its own",
    "make bench": "takes 20 minutes; tests/house/test_benchmarks.py runs a script of it",
    "make agreement": "takes 25 minutes; tests/house/test_benchmarks.py runs a script of it",
}
SERVERS = {"make ui", "make schedule"}
FITS_TINY = ("search.budget.madds=25%", "retrain.recipe.epochs=4")
"""The README's budget is for the default teacher; the tiny one has no student as small as that. This makes another."""
MEMBER = ("PRESET=dnapp", "PRESET=dnapp SET=search.budget.madds=null")
"""As above: this preset's budget is for the default network."""
DELETE = "helixnas delete 2 --yes"
"""Must refuse here, with the number of the version that is the previous one after all commands before it."""


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]


def test_no_command_of_the_readme_stands_outside_the_blocks_that_are_run() -> None:
    text = (ROOT / "README.md").read_text()
    inline = set(re.findall(r"`((?:make|helixnas|dvc) [^`]+)`", text))
    run = " ; ".join(commands())
    assert [command for command in inline if command not in run] == ["make check"]  # .ci/run runs it


def serve(root: Path, command: str) -> None:
    """Start servers, wait until all are up, stop them as Ctrl-C does; they must end well and leave no port taken."""
    ports = {name: str(free_port()) for name in ("MLFLOW_PORT", "PREFECT_PORT", "OPTUNA_PORT")}
    with (root / "served.log").open("wb") as log:
        process = subprocess.Popen(
            command.split(), cwd=root, env=environment(ports), stdout=log, stderr=log, start_new_session=True
        )
    until(lambda: "Ctrl-C ends" in (root / "served.log").read_text() or process.poll() is not None, 240)
    assert process.poll() is None, (root / "served.log").read_text()
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    assert "error" not in (root / "served.log").read_text().lower().replace("interrupt", "")


def test_every_command_of_the_readme_works(first_run: tuple[Path, str], tmp_path: Path) -> None:
    root = tmp_path / "helixnas"
    shutil.copytree(first_run[0], root, symlinks=True, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
    set_up(root)
    for command in ("publish", "promote"):  # MLflow's records, which know where they lie, were not copied
        assert call(root, "helixnas", command).returncode == 0
    change(root, None, ["tracking.max_acc_drop=1.0"])
    Image.new("L", (32, 32), 90).save(root / "image.png")
    for command in commands():
        if command in SERVERS:
            serve(root, command)
        elif command not in ELSEWHERE:
            told, message = command.replace(*FITS_TINY).replace(*MEMBER), ""
            if command == DELETE:
                (number,) = re.findall(r"^(\d+)\t.*@previous", call(root, "helixnas", "versions").stdout, re.MULTILINE)
                told, message = DELETE.replace("2", number), f"version {number} is the previous"
            done = call(root, "bash", "-c", told)
            assert done.returncode == (2 if message else 0), f"{command}: {done.stderr[-2000:]}"
            assert message in done.stderr
