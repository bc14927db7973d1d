"""``helixnas latency FILE.onnx``."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from helixnas import artifacts
from helixnas.__main__ import app
from helixnas.errors import ConfigError
from helixnas.runtimes import Graphs, file_latency, record, single_stream, to_onnx


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An ONNX file that takes batches of 2 alone."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval()
    path = tmp_path / "network.onnx"
    path.write_bytes(Graphs()(network, torch.rand(2, 1, 6, 6)).SerializeToString())
    return path


def test_a_file_is_measured_and_told(file: Path) -> None:
    arguments = ["latency", str(file), "--batch-size", "2", "--num-queries", "30"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert 0 < facts["p50_ms"] <= facts["p90_ms"]
    assert facts["num_queries"] == 30
    assert facts["runtime"].endswith("CPU, 1 thread")
    told = CliRunner().invoke(app, arguments).stdout
    assert "n = 30 queries of 2, ONNX Runtime 1." in told


@pytest.mark.slow
def test_an_open_batch_takes_any_size(tmp_path: Path) -> None:
    path = tmp_path / "open.onnx"
    network = nn.Conv2d(1, 2, 3).eval()
    path.write_bytes(to_onnx(record(network, (torch.rand(2, 1, 6, 6),))).SerializeToString())
    assert file_latency(path, 5, 3, None, 2)["runtime"].endswith("2 threads")


def test_a_missing_a_changed_and_a_foreign_file_are_told(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.onnx does not exist"):
        file_latency(file.with_name("nothing.onnx"), 1, 3, None, 1)
    with pytest.raises(ConfigError, match=r"takes batches of 2 alone, but --batch-size is 1\. Set --batch-size 2"):
        file_latency(file, 1, 3, None, 1)
    artifacts.save_json(file.with_name("export.json"), "export", {"sha256": {file.name: "0" * 64}})
    with pytest.raises(ConfigError, match=r"was changed after it was exported"):
        file_latency(file, 2, 3, None, 1)
    foreign = file.with_name("foreign.onnx")
    foreign.write_bytes(b"not a network")
    with pytest.raises(ConfigError, match=r"foreign\.onnx must be an ONNX file, but ONNX Runtime cannot read it"):
        file_latency(foreign, 1, 3, None, 1)


def test_quantiles_are_of_the_queries_after_the_first() -> None:
    times = iter([99.0] * 10 + [1.0] * 8 + [5.0] * 2)
    stream = single_stream(lambda: next(times), 10)
    assert (stream.p50_ms, stream.num_queries) == (1.0, 10)
    assert stream.p90_ms == 5.0


def test_a_stated_time_ends_the_queries() -> None:
    assert single_stream(lambda: 1.0, 10**9, 0.001).num_queries < 10**9
