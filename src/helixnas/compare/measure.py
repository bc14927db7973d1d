"""What a network reaches, and whether two networks can be told apart on the same images."""

from scipy.stats import binomtest
from torch import nn
from torch.nn.functional import cross_entropy

from helixnas.compare.rival import Reached
from helixnas.data import ImageSet
from helixnas.fit import predict


def reach(network: nn.Module, part: ImageSet) -> Reached:
    """Loss and accuracy of a network on a part, from one pass over its images."""
    logits = predict(network, part).double()
    is_right = logits.argmax(dim=1) == part.labels
    return Reached(float(cross_entropy(logits, part.labels)), float(is_right.double().mean()))


def mcnemar(num_first_only: int, num_second_only: int) -> float:
    """McNemar's exact test, two-sided (McNemar 1947): how likely so unequal counts are between equal networks.

    Args:
        num_first_only: Images that the first network alone gets right.
        num_second_only: Images that the second network alone gets right.

    Returns:
        p, 0 to 1; 1 where the networks are right on the same images.
    """
    num_discordant = num_first_only + num_second_only
    return float(binomtest(num_first_only, num_discordant).pvalue) if num_discordant else 1.0
