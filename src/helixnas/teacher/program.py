"""Load a network that torch exported (``.pt2``), such as a student of the registry, as an ordinary module."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from helixnas import archive, artifacts


def load_program(path: Path) -> nn.Module:
    """Load the exported network of one input and one output, with weights that can be trained.

    Raises:
        ArtifactError: The seal is missing or differs, the file holds no such network, or loading it would run code.
    """
    module: Any = archive.load_exported(artifacts.load_bytes(path, "program"), path)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        if node.op == "output":
            (value,) = node.args[0] if isinstance(node.args[0], tuple | list) else (node.args[0],)
            graph.output(copies[value])
        elif node.op != "call_module":  # the only modules called are export's checks of the input's shape
            copies[node] = graph.node_copy(node, lambda old: copies[old])
    return fx.GraphModule(module, graph).requires_grad_(True)  # a student is exported with its weights frozen


class FromPixels(nn.Module):
    """A network that normalises its images itself, made to take normalised images as every teacher does.

    Args:
        network: Takes images with pixels in 0 to 1.
        mean: Of each channel, by which images were normalised.
        std: Deviation of each channel, by which images were normalised.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits [N, classes] of normalised images [N, C, H, W]."""
        logits: Tensor = self.network(x * self.std + self.mean)
        return logits
