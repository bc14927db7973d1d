"""A network that torch exported (``.pt2``), inspected before torch reads it, so that nothing in it is ever run.

torch's own reader unpickles each weight, constant and example input that the archive marks so, loads compiled
libraries, evaluates shapes and guards as Python, and calls whatever function of torch a node names, such as
``torch.os.system``. So an archive may hold raw tensors and a graph of torch's own tensor operators, and nothing else.
"""

import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from helixnas.errors import ArtifactError

GRAPH, EXAMPLE = "models/model.json", "data/sample_inputs/model.pt"
PAYLOADS = {
    "data/weights/model_weights_config.json": re.compile(r"weight_\d+"),
    "data/constants/model_constants_config.json": re.compile(r"tensor_\d+"),
}
"""The lists of tensors, each with the names that its tensors' records have beside it."""
RECORD = re.compile(
    r"data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)|"
    r"models/model\.json|data/sample_inputs/model\.pt|archive_format|archive_version|byteorder|version|"
    r"\.data/(version|serialization_id)"
)
"""What an archive may hold."""
EXAMPLE_RECORD = re.compile(r"data\.pkl|data/\d+|byteorder|version|\.format_version|\.storage_alignment|\.data/\w+")
"""What the archive inside the archive may hold: that of the example inputs, read with ``weights_only``."""

_TENSOR_OPERATOR = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
_SIZE_OPERATOR = re.compile(
    r"_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|getitem)|"
    r"torch\.sym_(not|int|float|max|min|ite|sum)|math\.(trunc|ceil|floor)"
)
_SIZE = re.compile(
    r"(\b(Symbol|Integer|Rational|Add|Mul|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|ModularIndexing|Max|Min|Eq|Equality|"
    r"Ne|Unequality|Ge|Gt|Le|Lt|GreaterThan|StrictGreaterThan|LessThan|StrictLessThan|And|Or|Not|true|false|True|False|"
    r"positive|nonnegative|integer)\b|\b[su]\d{1,9}\b|'[su]\d{1,9}'|\b\d{1,18}\b|[-(),= ])*"
)
"""A size as sympy prints it, ``Mul(Integer(4), Symbol('s77', integer=True))``: torch evaluates it as Python."""
_PLAIN = {"type", "context", "children_spec", "builtins.tuple", "builtins.list", "builtins.dict", "null", "[]"}
"""The words of a structure of inputs or outputs, as torch writes it."""
_NAME, _DOTTED = re.compile(r"\w*", re.ASCII), re.compile(r"[\w.-]*", re.ASCII)
_REMARKS = {"stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "torch_version"}
"""Texts that torch shows to people and makes no code of."""
_FORBIDDEN = {"as_graph", "as_operator", "as_custom_obj", "custom_obj", "from_node", "custom", "guards_code"}
"""Keys of the graph that must be empty, if they are there: what they hold is imported, looked up or executed."""


def load_exported(data: bytes, name: object) -> nn.Module:
    """The module of an exported network, from an archive's bytes.

    Args:
        data: The archive, whole.
        name: What it is called in messages.

    Raises:
        ArtifactError: It is no such archive, or something in it would be run.
    """
    try:
        reader = _opened(data, RECORD)
        for path, record in PAYLOADS.items():
            _require_raw(reader, path, record)
        _require_plain(json.loads(reader.get_record(GRAPH)), GRAPH)
        _require_tensors(reader.get_record(EXAMPLE))
    except _Refused as refused:
        raise ArtifactError(
            f"{name} must hold raw tensors and a graph of torch's tensor operators, so that nothing in it is run, but "
            f"{refused}. It was not loaded. Get it anew from whom you trust."
        ) from refused
    except Exception as error:  # torch's reader raises what its parts raise
        raise _no_archive(name, error) from error
    from torch.export.pt2_archive._package import load_pt2  # takes a second to load, and other networks need none of it

    try:
        module: nn.Module = load_pt2(io.BytesIO(data)).exported_programs["model"].module()
    except Exception as error:
        raise _no_archive(name, error) from error
    return module


class _Refused(Exception):
    """The text says what the archive holds that it must not."""


def _no_archive(name: object, error: Exception) -> ArtifactError:
    reason = " ".join(str(error).split())[:200]
    return ArtifactError(f"{name} must be a network that torch exported, but is none: {reason}. Get it anew.")


def _opened(data: bytes, allowed: re.Pattern[str]) -> Any:
    """An archive's reader: torch's own, since another could see other records under the same names.

    torch stores records as they are; so together they cannot take more than the file, unless it is made to burst.
    """
    reader = torch._C.PyTorchFileReader(io.BytesIO(data))
    names = reader.get_all_records()
    for name in names:
        if not allowed.fullmatch(name):
            raise _Refused(f"holds {name[:100]!r}")
    if len(set(names)) < len(names) or sum(map(reader.get_record_size, names)) > len(data):
        raise _Refused("its records are larger than the file, or have the same name twice")
    return reader


def _require_raw(reader: Any, path: str, record: re.Pattern[str]) -> None:
    """Every tensor of a list is of raw bytes, and those are there."""
    for name, payload in json.loads(reader.get_record(path))["config"].items():
        place = payload["path_name"]
        if payload["use_pickle"] is not False or not record.fullmatch(place):
            raise _Refused(f"{name[:100]!r} is pickled")
        sizes = [size["as_int"] for size in payload["tensor_meta"]["sizes"]]
        if 0 not in sizes and not reader.get_record_size(f"{path.rpartition('/')[0]}/{place}"):
            raise _Refused(f"{name[:100]!r} has no values")


def _require_tensors(data: bytes) -> None:
    """The example inputs are tensors in tuples and dicts: else torch would try again, and unpickle anything."""
    if data:
        _opened(data, EXAMPLE_RECORD)
        try:
            torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except Exception as error:
            raise _Refused(f"{EXAMPLE} is pickled with more than tensors") from error


def _require_plain(value: Any, key: str) -> None:
    """No text in the graph can become code."""
    if isinstance(value, Mapping):
        for inner, child in value.items():
            if not _DOTTED.fullmatch(inner) or (inner in _FORBIDDEN and child):
                raise _Refused(f"its graph has {inner[:100]!r}")
            _require_plain(child, inner)
    elif isinstance(value, list):
        for child in value:
            _require_plain(child, key)
    elif isinstance(value, str) and not _CHECKS.get(key, _DOTTED.fullmatch)(value):
        raise _Refused(f"its graph has {key} {value[:100]!r}")


def _is_operator(target: str) -> bool:
    """Whether a node's target is an operator on sizes, or one on tensors that opens no file."""
    found = _TENSOR_OPERATOR.fullmatch(target)
    if found is None:
        return bool(_SIZE_OPERATOR.fullmatch(target))
    operator = getattr(getattr(torch.ops.aten, found[1], None), found[2], None)
    if not isinstance(operator, torch._ops.OpOverload):
        return False
    return all(argument.name != "filename" for argument in operator._schema.arguments)


def _is_plain_structure(text: str) -> bool:
    """Whether inputs or outputs are tuples, lists and dicts of tensors: other kinds would be imported by name."""
    return "\\" not in text and set(re.findall(r'"([^"]*)"', text)) <= _PLAIN


_CHECKS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(_REMARKS, lambda _: True),
    **dict.fromkeys(("as_string", "as_strings"), lambda _: True),  # values, of operators that open no file
    **dict.fromkeys(("name", "as_name", "forward_arg_names"), _NAME.fullmatch),  # names in the code that torch writes
    **dict.fromkeys(("in_spec", "out_spec"), _is_plain_structure),
    "expr_str": _SIZE.fullmatch,
    "target": _is_operator,
}
"""What a text may be, by its key in the graph; elsewhere it is a dotted name."""
