import socket
import sys
from pathlib import Path

import pytest

from flows.processes import Processes
from flows.servers import HOST, Server, chosen_port, require_free, start, wait_until_up
from helixnas.errors import ConfigError, EnvironmentFault


def test_a_port_in_use_is_named_with_the_variable_that_moves_it() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentFault, match=rf"MLflow needs port {port} .* MLFLOW_PORT="):
            require_free(Server("MLflow", port, (), variable="MLFLOW_PORT"))
    require_free(Server("MLflow", port, (), variable="MLFLOW_PORT"))


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_PORT", text)
    with pytest.raises(ConfigError, match="MLFLOW_PORT must be a port"):
        chosen_port("MLFLOW_PORT", 5000)
    monkeypatch.delenv("MLFLOW_PORT")
    assert chosen_port("MLFLOW_PORT", 5000) == 5000


def test_a_server_is_waited_for_until_it_answers(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    server = Server("files", port, (sys.executable, "-m", "http.server", "--bind", HOST, str(port)))
    with Processes() as processes:
        wait_until_up(server, start(server, tmp_path, processes))
    require_free(server)


def test_a_server_that_ends_at_once_names_its_log(tmp_path: Path) -> None:
    server = Server("Optuna dashboard", 1, (sys.executable, "-c", "print('no study')"))
    with Processes() as processes, pytest.raises(EnvironmentFault, match=r"\.cache/logs/optuna-dashboard\.log"):
        wait_until_up(server, start(server, tmp_path, processes))
    assert (tmp_path / server.log).read_text() == "no study\n"
