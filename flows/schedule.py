"""``make schedule``: a Prefect server, the deployments of prefect.yaml, and a worker that runs them, until Ctrl-C."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from flows.door import AUTH, LOGIN, auth_string
from flows.processes import Processes, environment
from flows.servers import (
    API_URL,
    Server,
    chosen_port,
    prefect_server,
    program,
    require_free,
    start,
    wait_until_one_ends,
    wait_until_up,
)
from helixnas.errors import EnvironmentFault, HelixError

POOL = "local-process"
POOL_TEMPLATE = Path(__file__).with_name("work_pool.json")
"""What a worker runs, and with which environment: all fixed, so that no request to the API can name a command."""


def main() -> int:
    """Serve schedules until Ctrl-C, on the server at PREFECT_API_URL or on one of our own."""
    parser = argparse.ArgumentParser(prog="python -m flows.schedule", description=__doc__)
    parser.add_argument("--file", default="prefect.yaml", help="the deployments")
    file = parser.parse_args().file
    root = Path.cwd()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Processes() as processes:
            running: dict[Server, subprocess.Popen[bytes]] = {}
            variables = {API_URL: os.environ.get(API_URL, "")}
            if not variables[API_URL]:
                server = prefect_server(chosen_port("PREFECT_PORT", 4200), "PREFECT_PORT")
                running[server] = _start(server, root, processes)
                variables = {API_URL: f"{server.url}/api", AUTH: auth_string(root)}
            deploy(root, file, variables)
            page = variables[API_URL].removesuffix("/api")
            print(f"Schedules are served; runs appear at {page}. Ctrl-C ends it.", flush=True)
            worker = Server("worker", 0, (program("prefect"), "worker", "start", "--pool", POOL))
            running[worker] = start(worker, root, processes, variables)
            ended = wait_until_one_ends(running)
    except HelixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    print(f"error: {ended.name} ended by itself; its output is in {ended.log}.", file=sys.stderr)
    return 1


def deploy(root: Path, file: str, variables: dict[str, str]) -> None:
    """Make the work pool and the deployments of ``file``; EnvironmentFault with Prefect's words if that fails."""
    template = ("--base-job-template", str(POOL_TEMPLATE))
    pool = ("work-pool", "create", POOL, "--type", "process", *template, "--overwrite")
    for arguments in (pool, ("--no-prompt", "deploy", "--all", "--prefect-file", file)):
        done = subprocess.run(
            [program("prefect"), *arguments],
            cwd=root,
            env=environment(variables),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = " ".join((done.stdout + done.stderr).split())[-600:]
            raise EnvironmentFault(
                f"`prefect {' '.join(arguments)}` must succeed, but: {reason} Check {file}, and the server at "
                f"{variables[API_URL]}."
            )


def _start(server: Server, root: Path, processes: Processes) -> subprocess.Popen[bytes]:
    require_free(server)
    print("Starting Prefect's server ...", flush=True)
    process = start(server, root, processes)
    wait_until_up(server, process)
    print(LOGIN, flush=True)
    return process


if __name__ == "__main__":
    sys.exit(main())
