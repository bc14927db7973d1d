"""``make schedule``: a Prefect server, the deployments of prefect.yaml, and a worker that runs them, until Ctrl-C."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from flows.processes import environment
from flows.servers import HOST, Server, program, require_free, start, stop, wait_until_up
from helixnas.errors import HelixError

POOL = "local-process"


def main() -> int:
    """Serve schedules until Ctrl-C. ``--no-server`` uses the one at PREFECT_API_URL."""
    arguments = _arguments()
    root = Path.cwd()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    running: list[subprocess.Popen[bytes]] = []
    try:
        api_url = os.environ["PREFECT_API_URL"] if arguments.no_server else _start_server(root, running)
        variables = {"PREFECT_API_URL": api_url, "PYTHONPATH": str(root)}
        _deploy(root, arguments.file, variables)
        print(f"Schedules are served; runs appear at {api_url.removesuffix('/api')}. Ctrl-C ends it.", flush=True)
        worker = Server("worker", "", 0, (program("prefect"), "worker", "start", "--pool", POOL))
        running.append(start(worker, root, variables))
        running[-1].wait()
    except HelixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    finally:
        stop(running)
    print("error: the worker ended by itself; its output is in .cache/logs/worker.log.", file=sys.stderr)
    return 2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flows.schedule", description=__doc__)
    parser.add_argument("--no-server", action="store_true", help="use the server at PREFECT_API_URL")
    parser.add_argument("--file", default="prefect.yaml", help="the deployments")
    return parser.parse_args()


def _start_server(root: Path, running: list[subprocess.Popen[bytes]]) -> str:
    plain = Server("Prefect", "PREFECT_PORT", 4200, ())
    command = (program("prefect"), "server", "start", "--host", HOST, "--port", str(plain.port))
    server = Server("Prefect", "PREFECT_PORT", 4200, command, "/api/health")
    require_free(server)
    print("Starting Prefect's server ...", flush=True)
    running.append(start(server, root))
    wait_until_up(server, running[-1])
    return f"{server.url}/api"


def _deploy(root: Path, file: str, variables: dict[str, str]) -> None:
    pool = ("work-pool", "create", POOL, "--type", "process", "--overwrite")
    for arguments in (pool, ("--no-prompt", "deploy", "--all", "--prefect-file", file)):
        done = subprocess.run(
            [program("prefect"), *arguments],
            cwd=root,
            env=environment() | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise HelixError(
                f"`prefect {' '.join(arguments)}` must succeed, but: {done.stdout[-600:]}{done.stderr[-600:]}"
            )


if __name__ == "__main__":
    sys.exit(main())
