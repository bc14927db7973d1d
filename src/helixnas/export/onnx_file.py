"""ONNX files: the student in float32, and in int8 where that is asked for."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from helixnas.artifacts import atomic
from helixnas.errors import ConfigError
from helixnas.export.contract import Contract
from helixnas.runtimes import INPUT, cannot_export, find_culprit, innermost, record, silence, to_onnx
from helixnas.scratch import scratch


def save_onnx(program: ExportedProgram, network: nn.Module, contract: Contract, path: Path) -> None:
    """Write the recorded network as ONNX, with any batch size, its contract in the metadata.

    Args:
        program: Of ``network``.
        network: Named in the message where ONNX lacks an operator.
        contract: What the file promises.
        path: Of the file.

    Raises:
        ConfigError: ONNX has no operator for a part of the network; the message names it.
    """
    try:
        proto = to_onnx(program)
    except Exception as error:  # the exporter wraps what its parts raise
        example = torch.rand(2, *contract.in_shape)
        culprit = find_culprit(network, example, lambda module, inputs: to_onnx(record(module, inputs)))
        raise ConfigError(cannot_export(culprit, "torch.onnx", innermost(error))) from error
    _save(proto, contract, path)


def save_int8(source: Path, images: Iterator[Tensor], contract: Contract, path: Path) -> None:
    """Write an ONNX file in int8: weights by output channel, activations by the range that they take on ``images``.

    Args:
        source: The file in float32.
        images: Batches float32 [N, C, H, W] of the train part, pixels from 0 to 1.
        contract: What the file promises.
        path: Of the new file.

    Raises:
        ConfigError: ONNX Runtime cannot make it.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(images, None)
            return None if batch is None else {INPUT: batch.numpy()}

    logger = logging.getLogger()
    level = logger.level
    with scratch() as folder, silence():
        logger.setLevel(logging.ERROR)  # onnxruntime's tools log advice to the root
        try:
            quant_pre_process(str(source), str(folder / "prepared.onnx"))
            quantize_static(
                str(folder / "prepared.onnx"),
                str(folder / "int8.onnx"),
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:  # its tools raise what they meet
            reason = " ".join(str(error).split())[:300]
            raise ConfigError(
                f"ONNX Runtime must turn the student into int8, but cannot: {reason}. Set export.int8: false."
            ) from error
        finally:
            logger.setLevel(level)
        _save(onnx.load(folder / "int8.onnx"), contract, path)


def _save(proto: Any, contract: Contract, path: Path) -> None:
    """Write a model with the contract as its metadata, and without the source lines that torch notes at each node."""
    import onnx

    del proto.metadata_props[:]
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    facts = contract.facts().items()
    onnx.helper.set_model_props(
        proto, {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts}
    )
    onnx.checker.check_model(proto)
    with atomic(path) as temporary:
        temporary.write_bytes(proto.SerializeToString(deterministic=True))
