"""Numbers that a network reads from its tensors' shapes, such as a map's height; they need not cross a cut.

For images of one size all these numbers are fixed but the batch size, and every feature tells the batch size.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, fx

from helixnas.cut.measure import run_through

BATCH: Final = "batch"
"""Stands for the number of images in a batch."""


@torch.no_grad()
def sizes(module: fx.GraphModule, nodes: Sequence[fx.Node], example: Tensor) -> Mapping[fx.Node, Any]:
    """Return the steps that give such numbers, each with its number, or with BATCH for the batch size.

    Returns:
        Nothing if ``example`` is a single image, since two batch sizes must be compared.
    """
    if len(example) == 1 or not any(map(_reads_shape, nodes)):
        return {}
    runs = [_Run(module), _Run(module)]
    for num_images, run in enumerate(runs, start=1):
        run_through(run, example[:num_images])
    one, two = (run.numbers for run in runs)
    fixed = {node: value for node, value in one.items() if two.get(node) == value}
    batch = {node: BATCH for node, value in one.items() if (value, two.get(node)) == (1, 2)}
    return {**fixed, **batch}


def _reads_shape(node: fx.Node) -> bool:
    is_attribute = node.op == "call_function" and node.target is getattr and "shape" in node.args
    return is_attribute or (node.op == "call_method" and node.target == "size") or "sym_size" in str(node.target)


class _Run(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.numbers: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, int | float):
            self.numbers[n] = value
        elif isinstance(value, tuple) and all(isinstance(one, int) for one in value):
            self.numbers[n] = tuple(value)
        return value
