"""Two networks on the same images: how many each alone gets right, and whether chance explains it."""

from dataclasses import dataclass

from torch import Tensor

from helixnas.results import mcnemar


@dataclass(frozen=True, slots=True)
class Paired:
    """Of the images that one version gets right and the other does not, how many are each one's.

    ``p_value`` is that of McNemar's exact test (McNemar 1947): how likely chance alone parts them at least so unevenly.
    """

    only_challenger: int
    only_champion: int
    p_value: float

    @classmethod
    def of(cls, challenger: Tensor, champion: Tensor) -> "Paired":
        """Compare which images, bool [N], each gets right."""
        only_challenger = int((challenger & ~champion).sum())
        only_champion = int((champion & ~challenger).sum())
        return cls(only_challenger, only_champion, mcnemar(only_challenger, only_champion))

    def __str__(self) -> str:
        return (
            f"Of the images that one alone has right, {self.only_challenger} are the challenger's and "
            f"{self.only_champion} the champion's (McNemar's exact test: p = {self.p_value:.2g})."
        )
