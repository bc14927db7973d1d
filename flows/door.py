"""The door of a server on this machine: it lets in our own pages under our own names, and nobody else.

Any web page may send requests to 127.0.0.1. A browser then names that page as ``Origin``; or, where the page's own
domain was pointed to 127.0.0.1 meanwhile, that domain as ``Host``. Both are refused before the server sees them.

``python -m flows.door prefect`` and ``python -m flows.door optuna STUDY`` serve the two programs that do not check this
themselves. Prefect's API asks for a password besides.
"""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from helixnas.artifacts import exclusive
from helixnas.errors import EnvironmentFault

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HOST = "127.0.0.1"
AUTH = "PREFECT_API_AUTH_STRING"
"""The environment's name for the password of Prefect's API, as its clients read it."""
SERVER_AUTH = "PREFECT_SERVER_API_AUTH_STRING"
AUTH_FILE = Path(".prefect/auth")
"""Where the password is kept from one start to the next, for this user alone to read."""
LOGIN = f"Prefect's page asks for a password: the line in {AUTH_FILE}, or your {AUTH}."


def own_addresses(port: int, others: Collection[str] = ()) -> list[str]:
    """The names under which a server on ``port`` may be called, as a browser writes them; ``others`` come behind."""
    return [address.removesuffix(":80") for address in (f"{HOST}:{port}", f"localhost:{port}", *others)]


def origins(addresses: Collection[str]) -> list[str]:
    """The origins of the pages that are served under ``addresses``."""
    return [f"http://{address}" for address in addresses]


class Door:
    """An ASGI application in front of another: what comes for a foreign host, or from a foreign page, gets a 403."""

    def __init__(self, app: ASGIApp, addresses: Collection[str]) -> None:
        self._app, self._hosts, self._origins = app, list(addresses), origins(addresses)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that may come in, and refuse any other with 403."""
        if scope["type"] != "lifespan":
            headers = [(name, value.decode("latin-1").lower()) for name, value in scope["headers"]]
            hosts = [value.removesuffix(":80") for name, value in headers if name == b"host"]
            pages = [value for name, value in headers if name == b"origin"]
            if len(hosts) != 1 or not set(hosts) <= set(self._hosts) or not set(pages) <= set(self._origins):
                from fastapi.responses import PlainTextResponse

                names = " or ".join(self._hosts)
                text = f"Host must be {names}, and Origin a page of these. Open http://{self._hosts[0]}.\n"
                await PlainTextResponse(text, status_code=403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def auth_string(root: Path) -> str:
    """The password of Prefect's API, ``user:secret``: the environment's, or else the one in AUTH_FILE, made if need be.

    Raises:
        EnvironmentFault: the file cannot be read or written.
    """
    given = os.environ.get(AUTH) or os.environ.get(SERVER_AUTH)
    if given:
        return given
    path = root / AUTH_FILE
    try:
        with exclusive(path.with_suffix(".lock")):
            path.touch(mode=0o600)
            if not path.read_text(encoding="utf-8").strip():
                path.write_text(f"helixnas:{secrets.token_urlsafe(24)}\n", encoding="utf-8")
            return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentFault(
            f"{path} must hold the password of Prefect's server, but: {error}. Remove it, or set {AUTH}=user:secret."
        ) from error


def main() -> None:
    """Serve Prefect or the Optuna dashboard behind the door, until a signal."""
    parser = argparse.ArgumentParser(prog="python -m flows.door", description=__doc__)
    parser.add_argument("program", choices=["prefect", "optuna"])
    parser.add_argument("study", nargs="?", help="the journal that Optuna's dashboard shows")
    parser.add_argument("--host", default=HOST, help="what to listen on")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--also", action="append", default=[], metavar="HOST:PORT", help="another name for this server")
    arguments = parser.parse_args()
    addresses = own_addresses(arguments.port, arguments.also)
    if arguments.program == "prefect":  # as ``prefect server start`` makes it, services and all
        os.environ[SERVER_AUTH] = auth_string(Path.cwd())  # read as Prefect is imported
        os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = ",".join(origins(addresses))
        os.environ.setdefault("PREFECT_UI_API_URL", f"http://{HOST}:{arguments.port}/api")
        from prefect.server.api.server import create_app

        app: ASGIApp = create_app(final=True)
    else:
        from optuna_dashboard import wsgi  # type: ignore[import-untyped]
        from uvicorn.middleware.wsgi import WSGIMiddleware  # type: ignore[attr-defined]

        app = WSGIMiddleware(wsgi(arguments.study))
    import uvicorn

    uvicorn.run(Door(app, addresses), host=arguments.host, port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
