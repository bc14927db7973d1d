"""BatchNorm statistics measured anew: the plain mean over batches, all else left as it was."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from helixnas.blocks import BlockSpec
from helixnas.student import measuring, num_calibration_images, recalibrate

BATCHES = [torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * (seed + 1) for seed in range(4)]


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5, momentum=0.3)
    return nn.Sequential(conv, norm, nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(5, 2, 1), nn.BatchNorm2d(2))


def statistics(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.named_buffers()}


def test_statistics_are_the_plain_mean_over_batches(network: nn.Sequential) -> None:
    recalibrate(network, BATCHES)
    features = [network[0](batch) for batch in BATCHES]
    mean = torch.stack([x.mean(dim=(0, 2, 3)) for x in features]).mean(dim=0)
    variance = torch.stack([x.var(dim=(0, 2, 3)) for x in features]).mean(dim=0)
    assert torch.allclose(network[1].running_mean, mean, atol=1e-6)
    assert torch.allclose(network[1].running_var, variance, rtol=1e-5)


def test_a_later_layer_is_measured_on_what_the_earlier_gives_in_the_batch(network: nn.Sequential) -> None:
    recalibrate(network, BATCHES[:1])
    norm = nn.BatchNorm2d(5).requires_grad_(False)
    features = network[4](norm(network[0](BATCHES[0])).relu())  # no dropout: all else is in eval mode
    assert torch.allclose(network[5].running_mean, features.mean(dim=(0, 2, 3)), atol=1e-6)


@pytest.mark.parametrize("mode", [True, False])
def test_what_was_remembered_before_does_not_count(network: nn.Sequential, mode: bool) -> None:
    recalibrate(network, BATCHES)
    wanted = statistics(network)
    network.train()(BATCHES[0] * 100 + 50)
    recalibrate(network.train(mode), BATCHES)
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in network.named_buffers())


def test_weights_and_momenta_stay_and_the_network_ends_in_eval_mode(network: nn.Sequential) -> None:
    before = [parameter.clone() for parameter in network.parameters()]
    recalibrate(network.train(), BATCHES)
    assert all(map(torch.equal, before, network.parameters()))
    assert all(parameter.grad is None for parameter in network.parameters())
    assert [network[1].momentum, network[5].momentum] == [0.3, 0.1]
    assert not any(module.training for module in network.modules())


def test_a_body_that_fails_still_puts_momenta_and_mode_back(network: nn.Sequential) -> None:
    with pytest.raises(KeyboardInterrupt), measuring(network):
        assert network[1].training
        assert not network[3].training
        raise KeyboardInterrupt
    assert [network[1].momentum, network[5].momentum] == [0.3, 0.1]
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d(3, track_running_stats=False), nn.InstanceNorm2d(3), nn.GroupNorm(1, 3)]
)
def test_a_norm_without_statistics_of_batches_is_left_alone(norm: nn.Module) -> None:
    before = norm.eval()(BATCHES[0]).clone()
    recalibrate(norm, BATCHES)
    assert torch.equal(norm(BATCHES[0]), before)


def test_a_network_without_batchnorm_may_be_recalibrated() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    recalibrate(network, [torch.zeros(2, 3)])
    assert not network.training


@pytest.mark.parametrize(
    ("asked", "num_train", "sides", "wanted"),
    [
        (64, 4000, (1,), 64),  # as asked
        ("auto", 10**6, (56, 28, 14, 7), 256),  # ImageNet's 7x7 maps give 49 values an image
        ("auto", 10**6, (4, 2), 2048),  # 2^13 values of 4 positions each
        ("auto", 10**6, (1,), 8192),
        ("auto", 4000, (1,), 4000),  # there are no more
    ],
)
def test_calibration_takes_as_many_images_as_the_smallest_map_needs(
    asked: int | Literal["auto"], num_train: int, sides: tuple[int, ...], wanted: int
) -> None:
    specs = [BlockSpec(0, (8, 64, 64), (8, side, side), "NCHW", ("a",)) for side in sides]
    assert num_calibration_images(asked, num_train, specs) == wanted


def test_statistics_of_as_many_values_are_right_within_a_few_percent() -> None:
    norm = nn.BatchNorm2d(64)
    recalibrate(norm, [3 * torch.randn(8192, 64, 1, 1, generator=torch.Generator().manual_seed(0))])
    assert float((norm.running_var / 9 - 1).abs().max()) < 0.06
