"""A forward pass as torch.fx records it: as deep as it can be looked into, and no mark left on the network."""

from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from helixnas.cut.trace import TraceFault, record_deeply, scratch, spans
from tests.cut.networks import ResNet, conv
from tests.cut.odd_networks import Flips


class Opaque(nn.Module):
    num_recordings = 0

    def __init__(self) -> None:
        super().__init__()
        self.layers = conv(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        Opaque.num_recordings += isinstance(y, fx.Proxy)
        return y if y.sum() > 0 else -y


def test_what_cannot_be_looked_into_stays_whole_with_all_its_kind() -> None:
    Opaque.num_recordings = 0
    tracer = record_deeply(nn.Sequential(conv(3, 3), *(Opaque() for _ in range(5))))
    called = [str(node.target) for node in tracer.graph.nodes if node.op == "call_module"]
    assert called == ["0.0", "0.1", "0.2", "1", "2", "3", "4", "5"]
    assert Opaque.num_recordings == 1  # one failed, and told enough of the others


def test_a_network_whose_own_code_depends_on_the_data_is_at_fault_itself() -> None:
    with pytest.raises(TraceFault, match="control flow") as caught:
        record_deeply(Flips())
    assert caught.value.path == ""


def test_spans_are_the_steps_of_a_module_and_of_the_modules_in_it() -> None:
    network = nn.Sequential(conv(3, 3), nn.Sequential(nn.ReLU()), nn.Identity())
    found = {span.path: (span.start, span.stop, span.is_container) for span in spans(record_deeply(network))}
    assert found["0"] == (1, 4, True)
    assert found["0.1"] == (2, 3, False)
    assert found["1"] == (4, 5, True)
    assert found["2"] == (5, 6, False)


def test_torchs_containers_are_looked_into_where_that_works_and_its_layers_are_not() -> None:
    network = nn.Sequential(nn.Sequential(nn.Linear(8, 8), nn.GELU()), nn.TransformerEncoderLayer(8, 2), nn.Identity())
    assert [str(node.target) for node in record_deeply(network).graph.nodes][1:-1] == ["0.0", "0.1", "1", "2"]


def test_a_scratch_copy_shares_the_weights_and_nothing_else() -> None:
    network = ResNet()
    copied = scratch(network)
    tensors = [*network.state_dict(keep_vars=True).values()]
    assert all(one is other for one, other in zip(tensors, copied.state_dict(keep_vars=True).values(), strict=True))
    assert not {id(module) for module in network.modules()} & {id(module) for module in copied.modules()}


class Remembers(nn.Module):
    """Keeps what it was given last."""

    last: Any = None

    def forward(self, x: Tensor) -> Tensor:
        self.last = x
        return x + 1


def test_a_recording_of_a_scratch_copy_leaves_no_symbol_behind() -> None:
    network = nn.Sequential(Remembers())
    record_deeply(scratch(network))
    assert network[0].last is None
    network(torch.ones(1))
    assert isinstance(network[0].last, Tensor)
