"""Measure the loss and the accuracy of a network on a part."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from helixnas.compare.rival import Reached
from helixnas.data import ImageSet, room_for
from helixnas.fit import predict


def reach(network: nn.Module, part: ImageSet) -> Reached:
    """Compute loss and accuracy of a network on a part, from one pass over its images."""
    losses, num_right = torch.zeros(len(part), dtype=torch.float64), 0
    size = room_for(part.in_shape)
    for some, labels, logits in zip(losses.split(size), part.labels.split(size), predict(network, part), strict=True):
        some.copy_(cross_entropy(logits.double(), labels, reduction="none"))
        num_right += int((logits.argmax(dim=1) == labels).sum())
    return Reached(float(losses.mean()), num_right / len(part))
