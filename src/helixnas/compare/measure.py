"""Measure the loss and the accuracy of a network on a part."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from helixnas.compare.rival import Reached
from helixnas.data import ImageSet, room_for
from helixnas.fit import predict


def reach(network: nn.Module, part: ImageSet) -> Reached:
    """Compute loss and accuracy of a network on a part, from one pass over its images."""
    losses, is_right = [], []
    for logits, labels in zip(predict(network, part), part.labels.split(room_for(part.in_shape)), strict=True):
        losses.append(cross_entropy(logits.double(), labels, reduction="none"))
        is_right.append(logits.argmax(dim=1) == labels)
    return Reached(float(torch.cat(losses).mean()), float(torch.cat(is_right).double().mean()))
