"""A command that a fork server runs does what it would do by itself: output, folder, exit code, and its end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.processes import Processes
from helixnas.forkserver import ADDRESS, LOG, launch
from tests.flows.test_processes import is_alive, wait_until_dead
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a flow starts a fork server on Linux alone")

SERVER = """
import os, sys, time
from helixnas import forkserver, source
from helixnas.custom import Custom

ENDS = {"_exit": lambda: os._exit(0), "abort": os.abort, "close": lambda: (sys.__stdout__.close(), sys.stderr.close())}

def run():
    print("out", os.getpid(), os.getcwd(), os.environ["WORD"], sys.argv[1:], flush=True)
    print("err", file=sys.stderr)
    what = sys.argv[1]
    if what == "wait":
        time.sleep(600)
    if what == "break":
        raise ValueError("broken")
    if what == "kill":
        os.kill(os.getpid(), 9)
    if what in ENDS:
        Custom("mine:load", "data.source", "return", ENDS[what])()
    if what == "custom and kill":
        Custom("mine:load", "data.source", "return", int)()
        os.kill(os.getpid(), 9)
    sys.exit({"seven": 7, "text": "in words"}.get(what))

forkserver._preload = lambda: None
if sys.argv[2:] == ["stale"]:
    answers = iter(["older", "newer"])
    source.stage_digest = lambda _: next(answers)
forkserver.serve(sys.argv[1], run)
"""
CLIENT = """
import os, sys
from helixnas.forkserver import ask
code = ask(os.environ["HELIXNAS_FORKSERVER"])
print(code)
sys.exit(code or 0)
"""


class Server:
    """A fork server whose command is a few lines."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.address = str(folder / "socket")
        self.process = subprocess.Popen([sys.executable, "-c", SERVER, self.address, *arguments])
        until(Path(self.address).exists)

    def client(self, folder: Path, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", CLIENT, *arguments],
            cwd=folder,
            env={**os.environ, ADDRESS: self.address, "WORD": "wörd"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, folder: Path, *arguments: str) -> tuple[int, str, str]:
        client = self.client(folder, *arguments)
        out, err = client.communicate(timeout=20)
        return client.returncode, out, err

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.stop()


def test_the_command_runs_in_the_callers_folder_and_environment(server: Server, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    code, out, err = server.call(tmp_path / "there", "fine", "--block-id", "0")
    first, last = out.splitlines()
    assert (code, last, err) == (0, "0", "err\n")
    assert first.split(" ", 2)[2] == f"{tmp_path / 'there'} wörd ['fine', '--block-id', '0']"


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [("seven", 7, "err\n"), ("text", 1, "in words"), ("break", 1, "ValueError: broken"), ("kill", 137, "was killed")],
)
def test_the_exit_code_and_what_is_said_come_back(
    server: Server, tmp_path: Path, what: str, code: int, said: str
) -> None:
    found, _, err = server.call(tmp_path, what)
    assert found == code
    assert said in err


@pytest.mark.parametrize(("what", "crash"), [("_exit", ""), ("abort", "Fatal Python error: Aborted")])
def test_custom_code_that_ends_the_process_is_named(server: Server, tmp_path: Path, what: str, crash: str) -> None:
    code, _, err = server.call(tmp_path, what)
    _, first, *others = err.splitlines()
    assert code == 2
    assert first.startswith("error: mine:load must return, but this process ended meanwhile: by that code, by a user")
    assert f"In params.yaml data.source names mine:load, which `helixnas {what}` ran. Correct that code." in first
    assert (others[0] if others else "") == crash
    assert not any(line.startswith("Extension modules") for line in others)


def test_custom_code_that_came_back_is_not_blamed_for_a_later_end(server: Server, tmp_path: Path) -> None:
    code, _, err = server.call(tmp_path, "custom and kill")
    assert code == 137
    assert err.splitlines()[1] == "error: the stage was killed: by a user, or by the system for want of memory."


def test_streams_that_custom_code_closes_cost_no_exit_code(server: Server, tmp_path: Path) -> None:
    code, out, _ = server.call(tmp_path, "close")
    assert (code, out.splitlines()[-1]) == (0, "0")


def test_one_command_after_another_and_at_once_each_in_its_own_process(server: Server, tmp_path: Path) -> None:
    clients = [server.client(tmp_path, "fine") for _ in range(4)]
    pids = {client.communicate(timeout=20)[0].split()[1] for client in clients}
    assert len(pids) == 4


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_command_dies_with_its_caller(server: Server, tmp_path: Path, number: signal.Signals) -> None:
    client = server.client(tmp_path, "wait")
    assert client.stdout is not None
    pid = int(client.stdout.readline().split()[1])
    assert is_alive(pid)
    client.send_signal(number)
    assert client.wait() == -number
    wait_until_dead(pid)
    client.communicate()


def test_without_a_server_the_command_is_left_to_the_caller(server: Server, tmp_path: Path) -> None:
    server.stop()
    assert server.call(tmp_path, "seven") == (0, "None\n", "")


def test_a_server_of_older_code_leaves_the_command_to_the_caller(tmp_path: Path) -> None:
    server = Server(tmp_path, "stale")
    assert server.call(tmp_path, "seven") == (0, "None\n", "")
    assert server.process.poll() is None
    server.stop()


PRELOADED = """
import json
from pathlib import Path
import torch
from helixnas import forkserver

asked = []
torch._C._cuda_getDeviceCount = lambda: asked.append("the driver") or 0
forkserver._preload()
threads = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
print(json.dumps([asked, threads[1:]]))
"""


def test_what_is_preloaded_starts_no_thread_and_asks_nothing_of_cuda() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PRELOADED], env=environment, capture_output=True, text=True, check=True
    )
    asked, threads = json.loads(done.stdout)
    assert asked == []
    assert set(threads) <= {"jemalloc_bg_thd"}


FLOWS_CLIENT = """
import os, sys
from helixnas.forkserver import ADDRESS, ask

sys.argv[:] = ["helixnas", "--help"]
print("exit code", ask(os.environ[ADDRESS]))
"""


def test_a_stage_of_a_flow_is_run_by_the_server_that_the_flow_launched(tmp_path: Path) -> None:
    with Processes() as processes:
        processes.settings |= launch(processes.start, processes.folder(), tmp_path)
        folder = Path(processes.settings[ADDRESS]).parent
        until(lambda: Path(processes.settings[ADDRESS]).exists() or (tmp_path / LOG).read_text())
        said = list(processes.lines([sys.executable, "-c", FLOWS_CLIENT], tmp_path))
    assert any("Usage: helixnas" in line for line in said)
    assert said[-1] == "exit code 0"
    assert (tmp_path / LOG).read_text() == ""
    assert not folder.exists()


def test_the_user_may_switch_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS, "")
    started: list[object] = []
    assert launch(lambda *arguments: started.append(arguments), tmp_path, tmp_path) == {}
    assert started == []


def test_a_stage_that_is_handed_over_loads_no_configuration_first() -> None:
    loaded = "import sys, helixnas.entry; print(sorted({'pydantic', 'yaml', 'helixnas.source'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
