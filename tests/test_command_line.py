"""Bad input as a user meets it: one message that says what and what to do, exit code 2, and nothing damaged."""

import os
import re
import resource
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.parameters import change
from flows.processes import environment
from helixnas import artifacts
from tests.conftest import ROOT
from tests.spoil import Spoil, gone, resized, respaced, tampered, text, truncated, unspoilt, value

RATING = "artifacts/rating/block_1/rating.parquet"
LATER = re.compile(r"\.cache/|mlflow\.db")
"""What a command may leave behind though it failed: what is resumed from, and the store that it asked."""


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def call(
    root: Path, command: str, max_file_size: int | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """``python -m COMMAND`` in ``root``. A file that would outgrow ``max_file_size`` fails as on a full disk."""

    def limit() -> None:
        if max_file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_size, max_file_size))

    return subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=root,
        env=environment({"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "HELIXNAS_WATCHED": "1", **variables}),
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )


def message(root: Path, command: str, max_file_size: int | None = None, **variables: str) -> str:
    """The one message of a command that must fail and leave every file as it was."""
    before = contents(root)
    done = call(root, command, max_file_size, **variables)
    after = contents(root)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert {path: data for path, data in after.items() if path in before} == before
    assert [path for path in after if path not in before and not LATER.match(path)] == []
    assert not [path for path in after if path.endswith(".tmp")]
    return line


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "project", ignore=shutil.ignore_patterns(".cache"))


AT_ONCE = {
    "a misspelt key": (
        text("num_best:", "num_bets:"),
        "helixnas search",
        r"search\.num_bets .* Did you mean 'num_best'",
    ),
    "a misspelt section": (text("\ncost:", "\ncots:"), "helixnas cost", r"cots must be .* Did you mean 'cost'"),
    "a wrong type": (
        text("batch_size: 64", "batch_size: many"),
        "helixnas teacher",
        r"teacher\.recipe\.batch_size: .* integer, .* 'many'\. Change it in params\.yaml",
    ),
    "no parameters": (gone("params.yaml"), "helixnas data", r"needs params\.yaml, but /\S+ has none\. Change to"),
    "no YAML": (text("seed: 0", "seed: [0"), "helixnas data", r"must be plain YAML .* line \d+"),
    "a block too far": (unspoilt, "helixnas rating --block-id 2", r"--block-id must be below 2, .* but is 2"),
    "a block far too far": (
        unspoilt,
        f"helixnas rating --block-id {10**30}",
        r"--block-id must be below 2, .* but is 10{30}\.$",
    ),
    "threads beyond all bounds": (
        text("num_threads: 1", "num_threads: 1000000000000"),
        "helixnas teacher",
        r"num_threads: .* less than or equal to 1024, but is 1000000000000\. Change it in params\.yaml",
    ),
    "too deep a file": (
        text("seed: 0", f"seed: {'[' * 20_000}"),
        "helixnas data",
        r"params\.yaml must be plain YAML .* nested more than 16 deep",
    ),
    "too deep an override": (
        unspoilt,
        f"flows --set seed={'[' * 9_000}",
        r"override 'seed=\[+' must be plain YAML .* nested 9,000 deep",
    ),
    "a misspelt override": (unspoilt, "flows --set distil.lr=1", r"distil must be .* Did you mean 'distill'"),
    "no parameters for a flow": (gone("params.yaml"), "flows --preset tiny", r"needs params\.yaml"),
}

WITH_TORCH = {
    "an impossible budget": (
        value("search.budget.madds=1000"),
        "helixnas search",
        r"No architecture fits .*madds <= 1.*K.*cheapest has madds \S+ \(arch_id \S+-\S+\), of which block 0 takes "
        r".*Raise search\.budget\.madds to at least \d+",
    ),
    "a missing table": (gone(RATING), "helixnas search", rf"{RATING} must exist, .* Run `dvc repro`"),
    "a truncated table": (truncated(RATING), "helixnas search", rf"{RATING} must be whole, .* run `dvc repro`"),
    "a tampered table": (tampered(RATING), "helixnas search", rf"{RATING} was changed after .* run `dvc repro`"),
    "another space's table": (
        respaced,
        "helixnas search",
        r"artifacts/rating/block_0/rating\.parquet must belong to the search space .* Run `dvc repro`",
    ),
    "blocks with a gap": (
        value("teacher.blocks=[[layer1],[layer3,layer4]]"),
        "helixnas teacher",
        r"teacher\.blocks\[1\]\.modules must continue where block 0 ends \('layer2'\), but starts at 'layer3'",
    ),
    "a block of no module": (
        value("teacher.blocks=[[layer1],[layer9]]"),
        "helixnas teacher",
        r"teacher\.blocks\[1\] .* 'layer9' is none\. Near: layer",
    ),
    "other blocks than were cut": (
        value("teacher.blocks=[[layer1,layer2],[layer3,layer4]]"),
        "helixnas cost",
        r"artifacts/teacher/cut\.json must belong to teacher\.blocks as they are now, .* Run `dvc repro`",
    ),
    "more blocks than were cut": (
        value("teacher.blocks=[[layer1],[layer2],[layer3,layer4]]", "teacher.block_ids=[0,1,2]"),
        "helixnas distill --block-id 2",
        r"artifacts/teacher/cut\.json must belong to teacher\.blocks as they are now, .* Run `dvc repro`",
    ),
    "another teacher than was trained": (
        value("teacher.source=timm:resnet34"),
        "helixnas cost",
        r"artifacts/teacher/teacher\.safetensors must belong to teacher\.source .* Run `dvc repro`",
    ),
    "images of another size": (
        resized,
        "helixnas cost",
        r"cut\.json must belong to data\.image_size .* Run `dvc repro`",
    ),
    "an unknown teacher": (
        value("teacher.source=timm:resnet17"),
        "helixnas teacher",
        r"teacher\.source must name a model of timm, but is '(timm:)?resnet17'\. Near: resnet18",
    ),
}

REGISTRY = {
    "no challenger": (
        value("tracking.model_name=nobody"),
        "helixnas promote",
        r"needs a challenger, but nobody has none\. Run `make run`",
    ),
    "no champion": (
        unspoilt,
        "helixnas predict good.png",
        r"alias 'champion', but its aliases are: challenger\. .* `helixnas promote`",
    ),
    "a folder that is not empty": (
        unspoilt,
        "helixnas export --alias challenger --to artifacts",
        r"--to must name a new or empty folder, but artifacts holds something\. Name another\.",
    ),
    "no such version": (unspoilt, "helixnas delete 7 --yes", r"Version 7 of \S+ must be registered .* There are: 1\."),
    "a deletion that nobody confirms": (
        unspoilt,
        "helixnas delete 1",
        r"--yes must be given where nobody can be asked",
    ),
    "an absurd version to promote": (
        unspoilt,
        f"helixnas promote --version {10**30}",
        r"Version 10{30} of \S+ must be registered .* There are: 1\.",
    ),
    "an odd alias": (
        unspoilt,
        "helixnas predict good.png --alias '%;--\\\u0663",
        r"must have a version with the alias .*, but its aliases are: challenger",
    ),
    "half an image": (
        unspoilt,
        "helixnas predict good.png half.png --alias challenger",
        r"error: half\.png must be a readable image, but: .* Leave it out, or mend it\.$",
    ),
    "no such image": (
        unspoilt,
        "helixnas predict missing.png --alias challenger",
        r"error: missing\.png must be a readable image, but: .*No such file",
    ),
}


def parameters(cases: dict[str, tuple[Spoil, str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("spoil", "command", "says"), cases.values(), ids=cases.keys())


@parameters(AT_ONCE)
def test_a_slip_in_the_parameters_or_on_the_command_line_is_told_before_torch_is_loaded(
    project: Path, spoil: Spoil, command: str, says: str
) -> None:
    spoil(project)
    assert re.search(says, message(project, command))
    times = call(project, command, PYTHONPROFILEIMPORTTIME="1").stderr
    assert "import time:" in times
    assert not re.search(r"\| +(torch|mlflow|prefect)\b", times)


@pytest.mark.slow
@parameters(WITH_TORCH)
def test_what_does_not_fit_is_refused_with_what_to_do(project: Path, spoil: Spoil, command: str, says: str) -> None:
    spoil(project)
    assert re.search(says, message(project, command))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "section"), [("helixnas teacher", "teacher.recipe"), ("helixnas distill --block-id 1", "distill")]
)
def test_a_loss_that_turns_nan_names_the_key_to_lower_and_keeps_the_batch(
    project: Path, command: str, section: str
) -> None:
    change(project, None, [f"{section}.lr=1000", f"{section}.weight_decay=100", "distill.updates=9"])
    said = message(project, command)
    found = re.search(rf" is nan at step \d+ \(lr \S+\)\. Lower {section}\.lr; the batch is saved in (\S+)\.$", said)
    assert found, said
    batch, _ = artifacts.load_tensors(project / found[1], "batch")
    assert all(len(tensor) for tensor in batch.values())
    assert batch


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "max_file_size", "what"),
    [
        ("helixnas data", 4096, r"artifacts/data/train/images\.u8 must be written"),
        ("helixnas distill --block-id 0", 0, "Files must have room to grow"),  # progress, then the curve
        ("helixnas distill --block-id 0", 4096, "must have room for the teacher's features"),
        ("helixnas search", 0, r"\.latency\.json must be written"),
        ("helixnas report", 0, r"artifacts/report/figures\.json must be written"),
    ],
)
def test_a_full_disk_is_told_and_leaves_what_was_there(
    project: Path, command: str, max_file_size: int, what: str
) -> None:
    assert re.search(rf"{what}.*File too large.*Free some space", message(project, command, max_file_size))


LOCK = """
schema: '2.0'
stages:
  data: {cmd: x, outs: [{path: artifacts/data/train, md5: 11111111111111111111111111111111}]}
  retrain: {cmd: x, outs: [{path: artifacts/retrain, md5: 22222222222222222222222222222222.dir}]}
"""


@pytest.fixture(scope="module")
def registered(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose student is registered, and beside it an image and half an image."""
    root = shutil.copytree(finished, tmp_path_factory.mktemp("registered") / "project")
    (root / "dvc.lock").write_text(LOCK)
    done = call(root, "helixnas publish")
    assert done.returncode == 0, done.stderr
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(root / "good.png")
    (root / "half.png").write_bytes((root / "good.png").read_bytes()[:40])
    return root


@pytest.mark.slow
@parameters(REGISTRY)
def test_what_the_registry_lacks_or_cannot_use_is_named(
    registered: Path, tmp_path: Path, spoil: Spoil, command: str, says: str
) -> None:
    project = shutil.copytree(registered, tmp_path / "project")
    spoil(project)
    assert re.search(says, message(project, command))


@pytest.mark.slow
def test_a_port_in_use_is_named_before_any_server_starts(registered: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert re.search(rf"needs port {port} .* MLFLOW_PORT=", message(registered, "flows.ui", MLFLOW_PORT=port))
