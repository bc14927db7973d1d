"""Exported networks: loaded where they are tensors and a graph alone, refused where torch would run something."""

import contextlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.export.pt2_archive._package import load_pt2

from helixnas.archive import EXAMPLE, GRAPH, load_exported
from helixnas.errors import ArtifactError

WEIGHTS, CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"
Records = dict[str, bytes]


class Plant:
    """Makes a file where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2)).eval()


@pytest.fixture(scope="module")
def exported() -> bytes:
    program = torch.export.export(network(), (torch.rand(2, 1, 8, 8),), dynamic_shapes=({0: torch.export.Dim("n")},))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def changed(data: bytes, change: Callable[[Records], object]) -> bytes:
    """The archive with other records."""
    reader = torch._C.PyTorchFileReader(io.BytesIO(data))
    records = {name: reader.get_record(name) for name in reader.get_all_records() if not name.startswith(".data")}
    change(records)
    buffer = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(buffer)
    for name, record in records.items():
        if name != "byteorder":  # the writer's own
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    return buffer.getvalue()


def edited(records: Records, name: str, edit: Callable[[Any], object]) -> None:
    value = json.loads(records[name])
    edit(value)
    records[name] = json.dumps(value).encode()


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def pickled_weight(records: Records, marker: Path) -> None:
    edited(records, WEIGHTS, lambda value: value["config"]["0.bias"].update(use_pickle=True))
    records["data/weights/weight_1"] = saved(Plant(marker))


def constant(name: str) -> Callable[[Records, Path], None]:
    def plant(records: Records, marker: Path) -> None:
        entry = {"path_name": name, "is_param": False, "use_pickle": True, "tensor_meta": None}
        edited(records, CONSTANTS, lambda value: value["config"].update(c=entry))
        records[f"data/constants/{name}"] = (pickle.dumps if name.startswith("opaque") else saved)(Plant(marker))

    return plant


def pickled_example(records: Records, marker: Path) -> None:
    records[EXAMPLE] = saved(Plant(marker))


def old_weights(records: Records, marker: Path) -> None:
    records["data/weights/model.pt"] = saved({"0.bias": Plant(marker)})


def guard(records: Records, marker: Path) -> None:
    code = f"__import__('pathlib').Path({str(marker)!r}).touch() is None"
    edited(records, GRAPH, lambda value: value.update(guards_code=[code]))


def size(records: Records, marker: Path) -> None:
    code = f"__import__('pathlib').Path({str(marker)!r}).touch() or Symbol('s77', positive=True, integer=True)"

    def edit(value: Any) -> None:
        for meta in value["graph_module"]["graph"]["tensor_values"].values():
            for each in meta["sizes"]:
                if "as_expr" in each:
                    each["as_expr"]["expr_str"] = code

    edited(records, GRAPH, edit)


def function(records: Records, marker: Path) -> None:
    argument = {"name": "", "arg": {"as_string": f"touch {marker}"}, "kind": 1}

    def edit(value: Any) -> None:
        node = value["graph_module"]["graph"]["nodes"][0]
        call = {"target": "torch.os.system", "inputs": [argument], "outputs": [], "metadata": {}, "name": "x"}
        value["graph_module"]["graph"]["nodes"].insert(0, {**node, **call})

    edited(records, GRAPH, edit)


def file_operator(records: Records, marker: Path) -> None:
    edited(records, GRAPH, lambda value: _first_node(value).update(target="torch.ops.aten.from_file.default"))


def _first_node(value: Any) -> dict[str, Any]:
    node: dict[str, Any] = value["graph_module"]["graph"]["nodes"][0]
    return node


def name_with_default(records: Records, marker: Path) -> None:
    name = f"x=__import__('pathlib').Path({str(marker)!r}).touch()"
    records[GRAPH] = records[GRAPH].replace(b'"name": "input"', f'"name": {json.dumps(name)}'.encode())
    records[GRAPH] = records[GRAPH].replace(b'"input": {"dtype"', f'{json.dumps(name)}: {{"dtype"'.encode())


def imported_structure(records: Records, marker: Path) -> None:
    context = json.dumps([{"__enum__": True, "fqn": "this:d", "name": "x"}])
    spec = json.dumps([1, {"type": "builtins.dict", "context": context, "children_spec": []}])

    def edit(value: Any) -> None:
        value["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = spec

    edited(records, GRAPH, edit)


def library(records: Records, marker: Path) -> None:
    records["data/aotinductor/model/x.so"] = b"\x7fELF"


PLANTS: dict[Callable[[Records, Path], None], str] = {
    pickled_weight: r"'0\.bias' is pickled",
    constant("opaque_obj_0"): "holds 'data/constants/opaque_obj_0'",
    constant("custom_obj_0"): "holds 'data/constants/custom_obj_0'",
    constant("tensor_0"): "'c' is pickled",
    pickled_example: r"data/sample_inputs/model\.pt is pickled with more than tensors",
    old_weights: r"holds 'data/weights/model\.pt'",
    guard: "its graph has 'guards_code'",
    size: "its graph has expr_str",
    function: r"its graph has target 'torch\.os\.system'",
    file_operator: r"its graph has target 'torch\.ops\.aten\.from_file",
    name_with_default: "its graph has",
    imported_structure: "its graph has in_spec",
    library: r"holds 'data/aotinductor/model/x\.so'",
}
LIVE = [pickled_weight, pickled_example, guard, size]
"""What torch's own reader runs at once, which shows that these plants are what they are for."""


def test_a_network_comes_back_and_takes_any_batch(exported: bytes) -> None:
    torch.manual_seed(0)
    assert load_exported(exported, "network.pt2")(torch.rand(3, 1, 8, 8)).shape == (3, 2)
    assert load_exported(changed(exported, lambda records: None), "network.pt2")(torch.rand(1, 1, 8, 8)).shape == (1, 2)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__qualname__)
def test_what_would_run_is_refused_by_name_and_does_not(
    exported: bytes, marker: Path, plant: Callable[[Records, Path], None]
) -> None:
    data = changed(exported, lambda records: plant(records, marker))
    with pytest.raises(ArtifactError, match=rf"network\.pt2 must hold raw tensors .* but {PLANTS[plant]}.*not loaded"):
        load_exported(data, "network.pt2")
    assert not marker.exists()
    if plant in LIVE:
        with contextlib.suppress(Exception):
            load_pt2(io.BytesIO(data)).exported_programs["model"].module()(torch.rand(2, 1, 8, 8))
        assert marker.exists()


@pytest.mark.parametrize("name", ["data/weights/../../../x", "/x", "x.py", "models/other.json", "extra/x"])
def test_a_record_that_no_network_needs_is_refused(exported: bytes, name: str) -> None:
    with pytest.raises(ArtifactError, match="must hold raw tensors"):
        load_exported(changed(exported, lambda records: records.update({name: b"x"})), "network.pt2")


def test_an_archive_that_would_burst_is_refused(exported: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(exported)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, bytes(10**6) if name.endswith("weight_0") else old.read(name))
    with pytest.raises(ArtifactError, match="its records are larger than the file"):
        load_exported(buffer.getvalue(), "network.pt2")


def test_a_tensor_of_any_size_without_values_is_refused(exported: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"'0\.weight' has no values"):
        load_exported(changed(exported, lambda records: records.update({"data/weights/weight_0": b""})), "network.pt2")


@pytest.mark.parametrize("data", [b"", b"no network", b"PK\x03\x04"])
def test_what_is_no_archive_is_told(data: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"network\.pt2 must be a network that torch exported, but is none"):
        load_exported(data, "network.pt2")


def test_an_archive_that_was_cut_short_or_has_another_graph_is_told(exported: bytes) -> None:
    for data in (exported[:-200], changed(exported, lambda records: records.update({GRAPH: b"{}"}))):
        with pytest.raises(ArtifactError, match="must be a network that torch exported"):
            load_exported(data, "network.pt2")
