"""A run of a graph: shapes, multiply-adds done by then, what is changed in place."""

import pytest
import torch
from torch import Tensor, fx, nn

from helixnas.cut.measure import counting, measure
from helixnas.cut.sizes import BATCH, sizes
from helixnas.cut.trace import record_deeply
from helixnas.errors import CutError
from tests.cut.networks import TransformerBlock


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        num_images, _, height, _ = x.shape
        x = self.conv(x)
        y = x + 1
        y.mul_(2)
        y = y.reshape(num_images, 4, height * height).mean(dim=2)
        logits: Tensor = self.head(y)
        return logits


def graph(network: nn.Module) -> tuple[fx.GraphModule, dict[str, fx.Node]]:
    tracer = record_deeply(network)
    assert isinstance(tracer.root, nn.Module)
    module = fx.GraphModule(tracer.root, tracer.graph)
    return module, {node.name: node for node in tracer.graph.nodes}


def test_each_step_has_its_shape_and_the_multiply_adds_until_then() -> None:
    module, nodes = graph(Small())
    run = measure(module, list(nodes.values()), torch.rand(2, 3, 8, 8))
    convolution = 2 * 4 * 3 * 9 * 64
    assert run.steps[nodes["x"]].madds == 0
    assert (run.steps[nodes["conv"]].shape, run.steps[nodes["conv"]].madds) == ((2, 4, 8, 8), convolution)
    assert (run.steps[nodes["head"]].shape, run.steps[nodes["head"]].madds) == ((2, 5), convolution + 2 * 4 * 5)
    assert run.steps[nodes["getattr_1"]].shape is None


def test_what_a_later_step_changes_in_place_is_told() -> None:
    module, nodes = graph(Small())
    run = measure(module, [nodes["conv"], nodes["add"], nodes["head"]], torch.rand(2, 3, 8, 8))
    assert run.changed == {nodes["add"]}


@pytest.mark.parametrize("layer", [TransformerBlock(12), nn.TransformerEncoderLayer(12, 3, 24, batch_first=True)])
def test_attention_is_counted_though_torch_fuses_it(layer: nn.Module) -> None:
    num_tokens, width = 17, 12
    tokens = torch.rand(1, num_tokens, width)
    with torch.no_grad(), counting() as counter:
        layer.eval()(tokens)
    linear = num_tokens * width * (3 * width + 4 * width)
    attention = 2 * num_tokens * num_tokens * width
    out = num_tokens * width * width * isinstance(layer, nn.TransformerEncoderLayer)
    assert counter.madds == linear + attention + out


class GivesParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token, self.layer = nn.Parameter(torch.rand(1, 8)), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layer(self.token)
        return y


def test_a_module_that_is_given_a_parameter_is_counted() -> None:
    with torch.no_grad(), counting() as counter:
        GivesParameter()(torch.rand(1, 4))
    assert counter.madds == 32


def test_sizes_are_told_apart_from_the_number_of_images() -> None:
    module, nodes = graph(Small())
    found = sizes(module, list(nodes.values()), torch.rand(4, 3, 8, 8))
    told = {node.name: value for node, value in found.items()}
    assert told == {"getitem": BATCH, "getitem_1": 3, "getitem_2": 8, "getitem_3": 8, "mul": 64}
    assert sizes(module, list(nodes.values()), torch.rand(1, 3, 8, 8)) == {}
    plain = nn.Sequential(nn.Conv2d(3, 4, 1))
    module, nodes = graph(plain)
    assert sizes(module, list(nodes.values()), torch.rand(4, 3, 8, 8)) == {}


class Stumbles(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(7)


def test_a_recording_that_does_not_run_is_told() -> None:
    module, nodes = graph(Stumbles())
    with pytest.raises(CutError, match="its recorded steps do not run"):
        measure(module, list(nodes.values()), torch.rand(2, 3, 8, 8))
