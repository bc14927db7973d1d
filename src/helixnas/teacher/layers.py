"""Find which of the teacher's layers matter: the loss of a block where one layer is left out and nothing is trained."""

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from helixnas.cut import CutTeacher
from helixnas.results import LayerLoss
from helixnas.teacher.features import cut_features
from helixnas.teacher.loss import DistillLoss

HARDLY = 0.1
"""Below this distill_loss a layer hardly matters: a tenth of the variance of its block's output."""
NUM_NAMED = 5
"""The most layers that a warning names."""


@torch.no_grad()
def layer_losses(teacher: CutTeacher, variances: Sequence[Tensor], batches: Iterable[Tensor]) -> tuple[LayerLoss, ...]:
    """Compute, for each layer that could be left out, the distill_loss of its block without that layer alone.

    Args:
        teacher: Cut, in eval mode, on the CPU.
        variances: Of each block's output by channel, [C] each.
        batches: Normalised images [N, C, H, W].
    """
    pieces = [copy.deepcopy(block) for block in teacher.blocks]
    losses = [DistillLoss(variance) for variance in variances]
    sums = {(spec.block_id, name): 0.0 for spec in teacher.specs for name in spec.droppable}
    num_images = 0
    for images in batches:
        features = cut_features(teacher, images, len(pieces))
        num_images += len(images)
        for block_id, name in sums:
            piece = pieces[block_id]
            layer = piece.get_submodule(name)
            piece.set_submodule(name, nn.Identity())
            output = piece(features[block_id])
            piece.set_submodule(name, layer)
            sums[block_id, name] += float(losses[block_id].per_image(output, features[block_id + 1]).sum())
    return tuple(LayerLoss(block_id, name, total / num_images) for (block_id, name), total in sums.items())


def idle_layers_warning(losses: Sequence[LayerLoss]) -> str | None:
    """Return one line of advice where layers hardly matter; None where each layer matters."""
    idle = [layer.module for layer in losses if layer.distill_loss < HARDLY]
    if not idle:
        return None
    more = f" and {len(idle) - NUM_NAMED} more" if len(idle) > NUM_NAMED else ""
    return (
        f"{len(idle)} of {len(losses)} layers of the teacher hardly matter ({', '.join(idle[:NUM_NAMED])}{more}): "
        f"without one of them its block is off by less than {HARDLY:g} of its variance, though nothing was trained. "
        "Leaving layers out will then be the best choice, and there is little to search for. Take a teacher that was "
        "trained longer, without residual branches that start at zero (teacher.model_args: {zero_init_last: false} for "
        "timm's ResNets), or a smaller one."
    )
