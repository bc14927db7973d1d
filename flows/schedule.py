"""``make schedule``: a Prefect server, the deployments of prefect.yaml, and a worker that runs them, until Ctrl-C."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from flows.processes import Processes, environment
from flows.servers import API_URL, Server, chosen_port, prefect_server, program, require_free, start, wait_until_up
from helixnas.errors import EnvironmentFault, HelixError

POOL = "local-process"


def main() -> int:
    """Serve schedules until Ctrl-C, on the server at PREFECT_API_URL or on one of our own."""
    arguments = _arguments()
    root = Path.cwd()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Processes() as processes:
            api_url = os.environ.get(API_URL) or _start_server(root, processes)
            variables = {API_URL: api_url}
            deploy(root, arguments.file, variables)
            print(f"Schedules are served; runs appear at {api_url.removesuffix('/api')}. Ctrl-C ends it.", flush=True)
            worker = Server("worker", 0, (program("prefect"), "worker", "start", "--pool", POOL))
            start(worker, root, processes, variables).wait()
    except HelixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    print(f"error: the worker ended by itself; its output is in {worker.log}.", file=sys.stderr)
    return 1


def deploy(root: Path, file: str, variables: dict[str, str]) -> None:
    """Make the work pool and the deployments of ``file``; EnvironmentFault with Prefect's words if that fails."""
    pool = ("work-pool", "create", POOL, "--type", "process", "--overwrite")
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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flows.schedule", description=__doc__)
    parser.add_argument("--file", default="prefect.yaml", help="the deployments")
    return parser.parse_args()


def _start_server(root: Path, processes: Processes) -> str:
    server = prefect_server(chosen_port("PREFECT_PORT", 4200), variable="PREFECT_PORT")
    require_free(server)
    print("Starting Prefect's server ...", flush=True)
    wait_until_up(server, start(server, root, processes))
    return f"{server.url}/api"


if __name__ == "__main__":
    sys.exit(main())
