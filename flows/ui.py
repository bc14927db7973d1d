"""``make ui``: MLflow, Prefect and the Optuna dashboard side by side, until Ctrl-C."""

import signal
import sys
import time
from pathlib import Path

from flows.servers import HOST, Server, program, require_free, start, stop, wait_until_up
from helixnas.errors import HelixError

STUDIES = Path(".cache/search")


def main() -> int:
    """Serve until Ctrl-C; 2 if a port is in use or a server does not come up."""
    root = Path.cwd()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    running = []
    try:
        servers = _servers(root)
        for server in servers:
            require_free(server)
        running = [start(server, root) for server in servers]
        for server, process in zip(servers, running, strict=True):
            wait_until_up(server, process)
            print(f"{server.name:18} {server.url}", flush=True)
        print("Ctrl-C ends them.", flush=True)
        while all(process.poll() is None for process in running):
            time.sleep(0.5)
    except HelixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    finally:
        stop(running)
    print("error: a server ended by itself; its output is in .cache/logs.", file=sys.stderr)
    return 2


def _servers(root: Path) -> list[Server]:
    def server(name: str, variable: str, port: int, *arguments: str, health: str = "/") -> Server:
        plain = Server(name, variable, port, (), health)
        return Server(name, variable, port, (*arguments, "--host", HOST, "--port", str(plain.port)), health)

    store = f"sqlite:///{root / 'mlflow.db'}"
    artifacts = (root / "mlartifacts").as_uri()
    servers = [
        server(
            "MLflow",
            "MLFLOW_PORT",
            5000,
            program("mlflow"),
            "server",
            "--workers",
            "1",
            "--backend-store-uri",
            store,
            "--default-artifact-root",
            artifacts,
            health="/health",
        ),
        server("Prefect", "PREFECT_PORT", 4200, program("prefect"), "server", "start", health="/api/health"),
    ]
    studies = sorted(root.glob(f"{STUDIES}/*.journal"), key=lambda path: path.stat().st_mtime)
    if studies:
        servers.append(server("Optuna dashboard", "OPTUNA_PORT", 8080, program("optuna-dashboard"), str(studies[-1])))
    else:
        print("No study yet in .cache/search: the Optuna dashboard is left out. `make run` makes one.")
    return servers


if __name__ == "__main__":
    sys.exit(main())
