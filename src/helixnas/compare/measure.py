"""Measure the loss and the accuracy of a network on a part."""

from torch import nn
from torch.nn.functional import cross_entropy

from helixnas.compare.rival import Reached
from helixnas.data import ImageSet
from helixnas.fit import predict


def reach(network: nn.Module, part: ImageSet) -> Reached:
    """Compute loss and accuracy of a network on a part, from one pass over its images."""
    logits = predict(network, part).double()
    is_right = logits.argmax(dim=1) == part.labels
    return Reached(float(cross_entropy(logits, part.labels)), float(is_right.double().mean()))
