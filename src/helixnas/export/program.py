"""The student as a graph of torch's own operators, from which every file is made."""

import io
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from helixnas.artifacts import atomic
from helixnas.errors import ConfigError
from helixnas.runtimes import cannot_export, find_culprit, record, silence


def export_program(network: nn.Module, in_shape: tuple[int, int, int]) -> ExportedProgram:
    """Record the forward pass of ``network`` in eval mode, for batches of any size.

    Args:
        network: Takes images float32 [N, C, H, W].
        in_shape: Of one image: channels, height, width.

    Raises:
        ConfigError: A part of the network cannot be recorded; the message names it.
    """
    example = torch.rand(2, *in_shape)  # of a single image, torch would make a graph for single images
    try:
        return record(network.eval(), (example,))
    except Exception as error:  # torch.export raises whatever it meets in foreign code
        culprit = find_culprit(network, example, record)
        raise ConfigError(cannot_export(culprit, "torch.export", error)) from error


def save_program(program: ExportedProgram, path: Path) -> None:
    """Write the recorded network as a ``.pt2`` file, which ``torch.export.load`` reads."""
    data = io.BytesIO()
    with silence():
        torch.export.save(program, data)
    with atomic(path) as temporary:
        temporary.write_bytes(data.getvalue())
