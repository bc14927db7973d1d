"""What a run bears: 20 kills with SIGKILL, 100 damaged files, 200 bad inputs, in about ten minutes.

All happens in clones of this repository's last commit, in a temporary folder, with the tiny preset.
Run: python benchmarks/faults.py
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import contextlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from faults_inputs import cases
from figure import ROOT, Figure, publish

sys.path.insert(0, str(ROOT))

from flows.processes import environment
from helixnas.forkserver import ADDRESS

NUM_KILLS, NUM_FILES = 20, 100
KILL_S = (1.0, 14.0)
"""Between the start of a run and its kill."""
HANG_S = 60
TIMED = ("artifacts/cost/measured", "artifacts/report", "artifacts/search/trials.csv")
"""Outputs that hold times, or are made of them."""
READERS = ("report", "search", "compare")
"""The stages that read most of what others left, tried in this order."""


def call(root: Path, *command: str, extra: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command as a user gives it, with the code of the clone."""
    variables = environment({"PYTHONPATH": str(root / "src"), **(extra or {})})
    return subprocess.run(
        command,
        cwd=root,
        env=variables,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=HANG_S * 10,
    )


def clone(root: Path) -> Path:
    """The last commit, with the tiny preset in params.yaml."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(root)], check=True)
    # a limit that all keep, so that the search reads measured latencies, too
    code = (
        "from pathlib import Path; from flows.parameters import change; "
        "change(Path(), 'tiny', ['search.budget.latency_ms=60000'])"
    )
    done = call(root, sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    return root


def digests(root: Path) -> dict[str, str]:
    """What dvc.lock records of every output that is the same each time."""
    locked = yaml.safe_load((root / "dvc.lock").read_text())["stages"]
    outs = (out for stage in locked.values() for out in stage.get("outs", []))
    return {out["path"]: out["md5"] for out in outs if not out["path"].startswith(TIMED)}


# ---------------------------------------------------------------- kills


def kills(root: Path, wanted: dict[str, str]) -> tuple[int, str]:
    """How many of 20 kills left nothing wrong: the run that went on from them ended with the digests ``wanted``."""
    generator, num_killed, num_good, num_left = random.Random(0), 0, 0, 0
    while num_killed < NUM_KILLS:
        num_here = 0
        while num_killed < NUM_KILLS and not _ended(root, generator, by_flow=num_killed % 2 == 1):
            num_killed, num_here = num_killed + 1, num_here + 1
            num_left += len(_survivors(root))
        done = call(root, "dvc", "repro")
        is_good = done.returncode == 0 and digests(root) == wanted
        num_good += num_here * is_good
        for name in ("artifacts", ".dvc/cache", "dvc.lock", ".cache"):
            path = root / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return num_good, f"{num_left} processes were left 30 s after a kill"


def _ended(root: Path, generator: random.Random, *, by_flow: bool) -> bool:
    """Start a run and kill it after some seconds; whether it had ended before.

    A flow is killed alone, for its children end by themselves; dvc with its group, or its youngest child alone.
    """
    command = [sys.executable, "-m", "flows", "--no-register"] if by_flow else ["dvc", "repro"]
    variables = environment({"PYTHONPATH": str(root / "src")})
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=root, env=variables, start_new_session=True, **output)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(generator.uniform(*KILL_S) + 8 * by_flow)  # a flow needs so long to start its server
        return process.returncode == 0
    victims = _survivors(root) if generator.random() < 0.3 and not by_flow else []
    with contextlib.suppress(ProcessLookupError):
        os.kill(victims[-1], signal.SIGKILL) if victims else os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for _ in range(300):
        if not _survivors(root):
            break
        time.sleep(0.1)
    return False


def _survivors(root: Path) -> list[int]:
    """The processes that work in a folder, the youngest last."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (path / "cwd").readlink() == root:
                found.append(int(path.name))
    return sorted(found)


# ---------------------------------------------------------------- damaged files


def damages(root: Path, extra: dict[str, str]) -> tuple[int, str]:
    """How many of 100 damaged files the stage that reads them refuses by name."""
    generator, kept = random.Random(0), root.with_name("kept")
    shutil.copytree(root / "artifacts", kept)
    files, unread = _readers(root, kept, extra)
    refused, faults = 0, list[str]()
    for number in range(NUM_FILES):
        file, reader = files[number % len(files)]
        name, damage = generator.choice(list(DAMAGES.items()))
        target = root / "artifacts" / file
        is_same = _damage(damage, target, kept, file, generator)
        done = _stage(root, reader, extra)
        is_refused = done.returncode == 2 and "Traceback" not in done.stderr and target.name in done.stderr
        refused += is_refused or (done.returncode == 0 and is_same)
        if not (is_refused or is_same):
            faults.append(f"{file} {name}: {done.returncode} {done.stderr.strip()[-120:]}")
        _restore(root, kept)
    return (
        refused,
        f"of {len(files)} files; none of {', '.join(READERS)} reads {', '.join(unread)}. {'; '.join(faults[:5])}",
    )


def _readers(root: Path, kept: Path, extra: dict[str, str]) -> tuple[list[tuple[Path, str]], list[str]]:
    """Each artifact with the first stage that asks for it where it is gone; and those that none asks for."""
    found, unread = list[tuple[Path, str]](), list[str]()
    for file in sorted(path.relative_to(kept) for path in kept.rglob("*") if path.is_file()):
        for reader in READERS if file.parts[0] != "report" else ():
            (root / "artifacts" / file).unlink()
            said = _stage(root, reader, extra).stderr
            _restore(root, kept)
            if f"{file} must exist" in said:
                found.append((file, reader))
                break
        else:
            unread.append(str(file))
    return found, unread


def _damage(damage: "Damage", target: Path, kept: Path, file: Path, generator: random.Random) -> bool:
    """Damage a file; whether what it says is still the same, as after a bit in its padding was turned."""
    others = [path for path in kept.rglob(f"*{file.suffix}") if path.relative_to(kept) != file]
    damage(target, generator, generator.choice(others).read_bytes())
    try:
        return _content(target) == _content(kept / file)
    except Exception:
        return False


def _content(path: Path) -> Any:
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        return table.to_pydict(), table.schema.metadata
    return path.read_bytes()


Damage = Callable[[Path, random.Random, bytes], object]


def _turn_a_bit(path: Path, generator: random.Random, _: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def _folder(path: Path, _: random.Random, __: bytes) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Damage] = {
    "one bit turned": _turn_a_bit,
    "cut short": lambda path, generator, _: path.write_bytes(path.read_bytes()[: generator.randrange(20, 200)]),
    "empty": lambda path, _, __: path.write_bytes(b""),
    "gone": lambda path, _, __: path.unlink(),
    "a folder": _folder,
    "another file's content": lambda path, _, other: path.write_bytes(other),
}


def _restore(root: Path, kept: Path) -> None:
    shutil.rmtree(root / "artifacts")
    shutil.copytree(kept, root / "artifacts")


# ---------------------------------------------------------------- inputs


def inputs(root: Path, extra: dict[str, str]) -> tuple[int, int, str]:
    """How many inputs there were, and how many ended within a minute with code 0, or with 2 and one message."""
    pristine, num_good, faults, codes = root.with_name("pristine"), 0, list[str](), Counter[str]()
    shutil.copytree(root, pristine, ignore=shutil.ignore_patterns(".git", ".dvc", ".venv"))
    all_cases = list(cases(root))
    for case in all_cases:
        case.spoil(root)
        try:
            done = _stage(root, case.command, extra)
        except subprocess.TimeoutExpired:
            faults.append(f"{case.name}: no end")
        else:
            code, said = done.returncode, done.stderr.strip()
            first = next((line for line in said.splitlines() if line.startswith("error: ")), "")
            is_told = code == 2 and bool(first) and ("Traceback" not in said or case.has_own_traceback)
            num_good += code == 0 or is_told
            codes[str(code)] += 1
            if code and not is_told:
                faults.append(f"{case.name}: {code} {said[-120:]}")
        for name in ("params.yaml", "own", "datasets"):
            target, source = root / name, pristine / name
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    ends = ", ".join(f"{count} with {code}" for code, count in sorted(codes.items()))
    return len(all_cases), num_good, f"ended: {ends}. {'; '.join(faults[:5])}"


def _stage(root: Path, command: str, extra: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["helixnas", command],
        cwd=root,
        env=environment({"PYTHONPATH": str(root / "src"), **extra}),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=HANG_S,
    )


@contextlib.contextmanager
def fork_server(root: Path) -> Iterator[dict[str, str]]:
    """A process that has torch loaded, so that a stage costs a second."""
    address = str(root.with_name("forks"))
    variables = environment({"PYTHONPATH": str(root / "src")})
    process = subprocess.Popen([sys.executable, "-m", "helixnas.forkserver", address], cwd=root, env=variables)
    try:
        while not Path(address).exists():
            time.sleep(0.1)
        yield {ADDRESS: address}
    finally:
        process.kill()
        process.wait()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "whole").mkdir()
        root = clone(folder / "whole" / "helixnas")
        done = call(root, sys.executable, "-m", "flows", "--no-register")
        assert done.returncode == 0, done.stderr[-2000:]
        with fork_server(root) as extra:
            num_inputs, num_told, told_inputs = inputs(root, extra)
            num_refused, told_files = damages(root, extra)
        (folder / "killed").mkdir()
        num_killed, told_kills = kills(clone(folder / "killed" / "helixnas"), digests(root))
    told = [
        ("kills with SIGKILL after which a run ends with the same digests", NUM_KILLS, num_killed, told_kills),
        ("damaged files refused by name", NUM_FILES, num_refused, told_files),
        ("inputs that end without a traceback or a hang", num_inputs, num_told, told_inputs),
    ]
    publish(*(Figure(name, f"{num} tried", (good,), num, "", note=note) for name, num, good, note in told))


if __name__ == "__main__":
    main()
