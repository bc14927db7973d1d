"""What leaving out one layer of the teacher costs, untrained; and the warning where it costs nearly nothing."""

import pytest
import timm
import torch
from torch import nn

from helixnas.cut import cut
from helixnas.results import LayerLoss
from helixnas.teacher import DistillLoss, block_batch, feature_statistics, idle_layers_warning, layer_losses


def test_each_layer_is_left_out_alone_and_the_teacher_stays_as_it_is() -> None:
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", channels=[8, 16, 16, 16], layers=[1, 4, 1, 1], in_chans=1, num_classes=4)
    nn.init.zeros_(network.layer2[2].bn2.weight)
    for index in (1, 3):
        nn.init.ones_(network.layer2[index].bn2.weight)
    images = torch.rand(12, 1, 32, 32)
    teacher = cut(network, [["layer1"], ["layer2"]], images[:2])
    assert [len(spec.droppable) for spec in teacher.specs] == [0, 3]
    variances = [block.variance for block in feature_statistics(teacher, [images])]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses = layer_losses(teacher, variances, images.split(5))
    assert [(each.block_id, each.module) for each in losses] == [(1, name) for name in teacher.specs[1].droppable]
    batch = block_batch(teacher, 1, images)
    with torch.no_grad():
        for number, each in zip((1, 2, 3), losses, strict=True):
            x = batch.inputs
            for index, layer in enumerate(network.layer2):
                x = x if index == number else layer(x)
            assert each.distill_loss == pytest.approx(float(DistillLoss(variances[1])(x, batch.targets)), rel=1e-5)
    assert losses[1].distill_loss < 1e-9 < 0.01 < min(losses[0].distill_loss, losses[2].distill_loss)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(block_batch(teacher, 1, images).targets, batch.targets)


def test_layers_that_hardly_matter_are_warned_of_in_one_line() -> None:
    lively = [LayerLoss(0, "layer1.1", 0.1), LayerLoss(1, "layer2.1", 2.0)]
    assert idle_layers_warning(lively) is None
    assert idle_layers_warning([]) is None
    idle = [LayerLoss(2, f"layer3.{index}", 0.0999) for index in range(7)]
    said = idle_layers_warning([*lively, *idle]) or ""
    assert said.startswith(
        "7 of 9 layers of the teacher hardly matter (layer3.0, layer3.1, layer3.2, layer3.3, layer3.4"
    )
    assert "layer3.4 and 2 more)" in said
    assert "layer3.5" not in said
    assert "zero_init_last: false" in said
    assert "\n" not in said
