"""How a network is trained: the recipes and augmentations that several sections of params.yaml hold."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Tag

from helixnas.config.values import WORD_OR_NUMBER, Auto, BatchSize, Epochs, Policy, Rate, Share, Text, WeightDecay


class Section(BaseModel):
    """A frozen section without unknown keys, of strict types: an integer may stand for a float, and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


class Augment(Section):
    """The augmentation of timm's training transform; ``rand_augment`` is timm's text, such as ``rand-m9-mstd0.5``."""

    min_scale: Annotated[float, Field(ge=0.01, le=1)]
    hflip: Share
    rand_augment: Policy | None
    random_erasing: Share

    @property
    def beyond_flips(self) -> dict[str, Any]:
        """The keys that make a view differ from the image and its mirror, each with the value that would not."""
        plain = {"min_scale": 1, "rand_augment": None, "random_erasing": 0}
        return {name: value for name, value in plain.items() if getattr(self, name) != value}


class AnyRecipe(Section):
    """The part that every recipe has: timm's optimizer, scheduler (cosine), augmentation and EMA."""

    epochs: Epochs
    batch_size: BatchSize
    optimizer: Text
    weight_decay: WeightDecay
    warmup_epochs: Epochs
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    augment: Augment


class Recipe(AnyRecipe):
    """The training of a network."""

    lr: Rate


class RetrainRecipe(AnyRecipe):
    """The training of a student; with ``lr: auto`` a short range test finds the learning rate."""

    lr: Annotated[Annotated[Rate, Tag("<number>")] | Auto, WORD_OR_NUMBER]

    def at(self, lr: float) -> Recipe:
        """Return the recipe with this learning rate."""
        return Recipe(**{**self.model_dump(), "lr": lr})
