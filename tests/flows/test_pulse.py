"""A flow whose server dies: the block is interrupted, tidies up, and the process ends with 2."""

import socket
import subprocess
import sys
import threading

import pytest

from flows.pulse import pulse
from tests.conftest import ROOT

FLOW = """
import os, socket, sys, time
from flows import pulse
pulse.LOST_S = pulse.POLL_S = 0.05
try:
    with socket.create_server(("127.0.0.1", 0)) as server, pulse.pulse(f"http://127.0.0.1:{server.getsockname()[1]}"):
        try:
            %s
        finally:
            print("tidied up", flush=True)
except KeyboardInterrupt:
    time.sleep(60)  # as Prefect does, which asks on
"""


def run(work: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FLOW % work], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )


@pytest.mark.parametrize(
    "work", ["server.close(); time.sleep(60)", "server.close(); raise KeyboardInterrupt"], ids=["at work", "stopped"]
)
def test_a_lost_server_ends_the_process_with_one_message(work: str) -> None:
    done = run(work)
    assert done.returncode == 2
    assert done.stdout == "tidied up\n"
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "nobody listens at 127.0.0.1:" in line


def test_a_server_that_is_only_busy_is_not_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        url = f"http://127.0.0.1:{busy.getsockname()[1]}/api"
        with pulse(url):
            assert threading.active_count() > 1
