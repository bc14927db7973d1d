"""Networks as ONNX graphs: each part is exported once, and the parts are joined to one graph.

torch's exporter with ``dynamo=True``, which writes the student's file, takes 2 seconds a part, and its older one, by
tracing, a twentieth of a second. Both give the same operators for what a measurement needs, so parts are traced; where
tracing fails, the newer exporter takes over.
"""

import copy
import io
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from helixnas.errors import ConfigError
from helixnas.runtimes.recording import cannot_export, find_culprit, innermost, record, silence
from helixnas.student import StudentNetwork

INPUT, OUTPUT = "images", "logits"
"""What ONNX files call their input and their output."""
OPSET = 18
"""The version of ONNX's operators, of 2022: every runtime in use knows it."""


def to_onnx(program: ExportedProgram) -> Any:
    """Convert a recorded network to ONNX; any exception where that cannot be done."""
    with silence():
        made = torch.onnx.export(
            program, dynamo=True, opset_version=OPSET, input_names=[INPUT], output_names=[OUTPUT], verbose=False
        )
    assert made is not None
    return made.model_proto


class Graphs:
    """Makes ONNX graphs of networks; a part that several networks share, with inputs of one shape, is exported once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, tuple[int, ...]], tuple[nn.Module, Any]] = {}

    def __call__(self, network: nn.Module, inputs: Tensor) -> Any:
        """Return the ONNX model of a network for batches as large as ``inputs``.

        Raises:
            ConfigError: A part cannot be exported; the message names it.
        """
        if any(parameter.device.type != "cpu" for parameter in network.parameters()):
            network = copy.deepcopy(network).cpu()  # whoever asks goes on with it on its device
        models, x = [], inputs.cpu()
        for part in _parts(network):
            models.append(self._exported(part, x))
            with torch.inference_mode():
                x = part(x)
        return models[0] if len(models) == 1 else _joined(models)

    def _exported(self, part: nn.Module, inputs: Tensor) -> Any:
        key = (id(part), tuple(inputs.shape))
        if key not in self._known:
            self._known[key] = part, _export(part, torch.rand(inputs.shape))
        return self._known[key][1]


def _parts(network: nn.Module) -> Iterator[nn.Module]:
    """The modules that run one after another."""
    if isinstance(network, StudentNetwork):
        network = nn.Sequential(network.stem, *network.blocks, network.head)
    if isinstance(network, nn.Sequential) and len(network):
        for part in network:
            yield from _parts(part)
    else:
        yield network


def _export(part: nn.Module, inputs: Tensor) -> Any:
    import onnx

    file: Any = io.BytesIO()
    try:
        with torch.no_grad(), silence():
            torch.onnx.export(
                part, (inputs,), file, dynamo=False, opset_version=OPSET, input_names=[INPUT], output_names=[OUTPUT]
            )
        return onnx.load_from_string(file.getvalue())
    except Exception:
        try:
            return to_onnx(record(part, (inputs,), any_batch=False))
        except Exception as error:  # exporters wrap what their parts raise
            culprit = find_culprit(part, inputs, lambda module, given: to_onnx(record(module, given, any_batch=False)))
            named = culprit or type(part).__name__
            raise ConfigError(cannot_export(named, "torch.onnx", innermost(error))) from error


def _joined(models: list[Any]) -> Any:
    """One model that runs each of these on the output of the one before."""
    from onnx.compose import add_prefix, merge_models

    last = len(models) - 1
    named = [
        add_prefix(model, f"part_{index}/", rename_inputs=index > 0, rename_outputs=index < last)
        for index, model in enumerate(models)
    ]
    whole = named[0]
    for model in named[1:]:
        whole = merge_models(whole, model, io_map=[(whole.graph.output[0].name, model.graph.input[0].name)])
    del whole.opset_import[1:]  # it was listed once for each part
    return whole
