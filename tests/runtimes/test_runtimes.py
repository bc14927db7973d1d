"""One function measures, in the runtime that params.yaml names; a joined graph computes what the network does."""

import sys
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from helixnas.config import RunConfig, load
from helixnas.config.schema import CostSection
from helixnas.cost import from_pixels, machine, measure, path_subjects
from helixnas.cut import CutTeacher
from helixnas.errors import ConfigError
from helixnas.progress import silent
from helixnas.runtimes import OPSET, Graphs, new_session, open_runtime, runtime_title
from helixnas.search_space import Architecture, SearchSpace
from helixnas.student import BlockSupernet, assemble
from tests.conftest import ROOT, SmallNet

CPU = torch.device("cpu")


def settings(*overrides: str) -> CostSection:
    return load(ROOT, [f"cost.{override}" for override in ("latency.num_rounds=2", *overrides)]).cost


def answers(graph: onnx.ModelProto, inputs: Tensor) -> Tensor:
    return torch.from_numpy(new_session(graph.SerializeToString(), 1).run(None, {"images": inputs.numpy()})[0])


def test_a_whole_student_of_joined_parts_computes_what_the_student_does(
    teacher: CutTeacher, space: SearchSpace, config: RunConfig
) -> None:
    supernets = [BlockSupernet(block, piece) for block, piece in zip(space.blocks, teacher.blocks, strict=True)]
    architecture = Architecture(tuple(list(block.paths())[-1] for block in space.blocks))
    student = from_pixels(assemble(teacher.stem, supernets, teacher.head, architecture)).eval()
    inputs = torch.rand(2, 1, 8, 8)
    graph = Graphs()(student, inputs)
    onnx.checker.check_model(graph)
    assert [(each.domain, each.version) for each in graph.opset_import] == [("", OPSET)]
    with torch.no_grad():
        torch.testing.assert_close(answers(graph, inputs), student(inputs), rtol=1e-4, atol=1e-5)


def test_a_part_that_paths_share_is_exported_once(
    teacher: CutTeacher, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported: list[nn.Module] = []
    real = torch.onnx.export

    def count(part: nn.Module, *args: object, **kwargs: object) -> object:
        exported.append(part)
        return real(part, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.onnx, "export", count)
    block = space.blocks[0]
    subjects = path_subjects(block, block.spec.in_width, teacher.blocks[0], 1, CPU)
    graphs = Graphs()
    for network, inputs in subjects:
        graphs(network, inputs)
    assert len(exported) == len(set(map(id, exported))) < sum(len(network) for network, _ in subjects)  # type: ignore[arg-type]


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
def test_whatever_is_measured_is_measured_in_the_runtime(runtime: str, small_net: SmallNet) -> None:
    asked = settings(f"latency.runtime={runtime}")
    (cost,) = measure([(small_net.eval(), torch.rand(1, 1, 8, 8))], ["madds", "latency_ms"], asked, silent)
    assert list(cost) == ["latency_ms"]
    assert cost["latency_ms"] > 0
    facts = machine(CPU, asked)
    assert facts["runtime"].startswith({"onnxruntime": "ONNX Runtime 1.", "torch": "PyTorch 2."}[runtime])
    assert facts["runtime"].endswith(", 1 thread")
    assert facts["device"].startswith("cpu: ")


def test_threads_are_those_of_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Looks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            return x

    before = torch.get_num_threads()
    run = open_runtime(settings("latency.runtime=torch", "num_threads=3")).open(Looks(), torch.zeros(1))
    run()
    assert seen == [3]
    assert torch.get_num_threads() == before
    assert runtime_title(settings("num_threads=3")).endswith(", 3 threads")


def test_nothing_is_opened_where_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert [dict(cost) for cost in measure([(nn.Identity(), torch.zeros(1))], ["madds"], settings(), silent)] == [{}]


@pytest.mark.parametrize("name", ["openvino", "executorch"])
def test_a_runtime_that_is_missing_is_told_with_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("openvino", "executorch", "executorch.runtime"):
        monkeypatch.setitem(sys.modules, module, None)
    told = rf"cost\.latency\.runtime is {name}, so .* must be installed.* Run: pip install 'helixnas\[{name}\]'"
    with pytest.raises(ConfigError, match=told):
        open_runtime(settings(f"latency.runtime={name}"))


class Unknown(nn.Module):
    """ONNX has no operator for this."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


def test_a_part_that_no_exporter_knows_is_named() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.ReLU(), Unknown())).eval()
    with pytest.raises(ConfigError, match=r"torch\.onnx cannot export Unknown: .*bessel_j0.* search_space\.operations"):
        Graphs()(network, torch.rand(1, 1, 8, 8))


STAND_IN = """
import sys
import onnx
onnx.checker.check_model(onnx.load(sys.argv[-1]))
print("warming up")
print({})
"""


def device(tmp_path: Path, says: str, *more: str) -> CostSection:
    script = tmp_path / "device.py"
    script.write_text(STAND_IN.format(says))
    return settings(f"latency.command='{sys.executable} {script}'", *more)


def measured_there(asked: CostSection) -> list[float]:
    subjects = [(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval(), torch.rand(1, 1, 8, 8))]
    return [cost["latency_ms"] for cost in measure(subjects, ["latency_ms"], asked, silent)]


def test_a_command_gets_the_file_and_its_last_line_counts(tmp_path: Path) -> None:
    asked = device(tmp_path, "'  12.5 '")
    assert measured_there(asked) == [12.5]
    assert runtime_title(asked) == f"`{asked.latency.command}`"


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("'12 ms'", "as its last line, a number above 0, but printed '12 ms'"),
        ("-1", "a number above 0, but printed '-1'"),
        ("float('nan')", "a number above 0, but printed 'nan'"),
        ("sys.exit('no such phone')", "but ended with code 1: no such phone. Try it by hand"),
    ],
)
def test_a_command_that_fails_is_told(tmp_path: Path, says: str, told: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s)cost.latency.command is .* must print milliseconds.*{told}"):
        measured_there(device(tmp_path, says))


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"within cost\.latency\.timeout_s = 0\.01, but took longer"):
        measured_there(device(tmp_path, "1", "latency.timeout_s=0.01"))


def test_a_command_that_does_not_exist_is_told() -> None:
    with pytest.raises(ConfigError, match=r"but cannot be run: .*no-such-program"):
        measured_there(settings("latency.command=no-such-program"))
