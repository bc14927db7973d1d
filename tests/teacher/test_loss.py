"""The distill_loss: 0 is perfect, 1 as bad as the best constant, dead channels harmless."""

import pytest
import torch
from torch import Tensor

from helixnas.teacher import DistillLoss


def features(*scales: float, num_images: int = 64) -> Tensor:
    """Outputs [N, C, 4, 4] whose channels deviate by the scales, about means of their own."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(num_images, len(scales), 4, 4, generator=generator)
    means = torch.arange(len(scales)).view(1, -1, 1, 1)
    return noise * torch.tensor(scales).view(1, -1, 1, 1) + means


def variance(targets: Tensor) -> Tensor:
    return targets.double().var(dim=(0, 2, 3), unbiased=False)


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 2.0), (1.0, 2.0, 0.0), (1e-3, 1e-3), (1e3, 1e3), (0.0, 0.0, 5.0)])
def test_the_loss_is_0_for_the_targets_and_1_for_the_best_constant(scales: tuple[float, ...]) -> None:
    targets = features(*scales)
    loss = DistillLoss(variance(targets))
    constant = targets.mean(dim=(0, 2, 3), keepdim=True).expand_as(targets)
    assert float(loss(targets, targets)) == 0.0
    assert float(loss(constant, targets)) == pytest.approx(1.0, rel=1e-4)


def test_noise_on_a_dead_channel_costs_as_much_as_on_a_live_one() -> None:
    targets = features(1.0, 0.0)
    loss = DistillLoss(variance(targets))
    noise = torch.zeros_like(targets)
    noise[:, 0] = 0.01
    live, dead = float(loss(targets + noise, targets)), float(loss(targets + noise.flip(1), targets))
    assert dead == pytest.approx(live, rel=1e-3)
    assert dead < 1e-3


def test_a_block_that_is_dead_altogether_divides_by_no_zero() -> None:
    zeros = torch.zeros(4, 3, 2, 2)
    loss = DistillLoss(torch.zeros(3))
    assert float(loss(zeros, zeros)) == 0.0
    assert torch.isfinite(loss(zeros + 0.1, zeros))
    assert bool(torch.isfinite(loss.per_image(zeros + 0.1, zeros)).all())


def test_a_batchs_loss_is_the_mean_of_its_images() -> None:
    targets, outputs = features(1.0, 2.0), features(1.0, 2.0).flip(0)
    loss = DistillLoss(variance(targets))
    per_image = loss.per_image(outputs, targets)
    assert per_image.shape == (64,)
    assert per_image.dtype == torch.float64
    assert float(per_image.mean()) == pytest.approx(float(loss(outputs, targets)), rel=1e-5)
    alone = [float(loss(outputs[i : i + 1], targets[i : i + 1])) for i in range(64)]
    assert per_image.tolist() == pytest.approx(alone, rel=1e-5)


def test_the_unit_is_fixed_whatever_the_batch() -> None:
    targets = features(1.0, 2.0)
    loss = DistillLoss(variance(targets))
    off = torch.full_like(targets, 0.5)
    quiet = torch.zeros_like(targets)  # a batch that does not vary at all
    assert float(loss(targets + off, targets)) == pytest.approx(float(loss(quiet + off, quiet)), rel=1e-4)


def test_the_loss_grows_with_the_square_of_the_error_and_can_be_trained_on() -> None:
    targets = features(1.0, 2.0)
    loss = DistillLoss(variance(targets))
    outputs = (targets + 0.1).requires_grad_()
    value = loss(outputs, targets)
    assert float(loss(targets + 0.3, targets)) == pytest.approx(9 * value.item(), rel=1e-3)
    value.backward()
    assert outputs.grad is not None
    assert bool((outputs.grad > 0).all())


def test_tokens_are_compared_as_maps_are() -> None:
    maps = features(1.0, 2.0)
    loss = DistillLoss(variance(maps))
    tokens, other = maps.flatten(2).transpose(1, 2), maps.flip(0).flatten(2).transpose(1, 2)
    assert float(loss(other, tokens)) == pytest.approx(float(loss(maps.flip(0), maps)), rel=1e-5)
