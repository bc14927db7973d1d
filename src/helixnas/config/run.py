"""The whole of params.yaml: its sections, and what must hold between them."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, Tag, model_validator

from helixnas.config.recipes import Section
from helixnas.config.schema import (
    Compare,
    CostSection,
    Data,
    Distill,
    Export,
    Flow,
    Rating,
    Report,
    Retrain,
    Search,
    Space,
    Teacher,
    Tracking,
)
from helixnas.config.values import WORD_OR_NUMBER, Auto, Seed
from helixnas.cost_kinds import kind

COMPARING = {"feature", "output"}
"""The criteria that compare a path with the teacher."""
MIN_SIAMESE_BATCH = 4
"""Images of a batch, below which spread and covariance of their embeddings mean nothing."""


class RunConfig(Section):
    """The whole of params.yaml."""

    seed: Seed
    device: Literal["auto", "cpu", "cuda"]
    num_loaders: Annotated[Annotated[int, Field(ge=0, le=64), Tag("<number>")] | Auto, WORD_OR_NUMBER]
    data: Data
    teacher: Teacher
    search_space: Space
    distill: Distill
    rating: Rating
    cost: CostSection
    search: Search
    retrain: Retrain
    compare: Compare
    export: Export
    report: Report
    tracking: Tracking
    flow: Flow

    @property
    def searched_kinds(self) -> list[str]:
        """The kinds of cost that the search reads: those that are counted, and of those that are measured the limited.

        A measurement without a limit must not decide anything, since it comes out differently each time.
        """
        limited = {name for name, limit in self.search.budget.items() if limit is not None}
        return [name for name in self.cost.kinds if name in limited or not kind(name).is_measured]

    @model_validator(mode="after")
    def cached_features_are_of_fixed_views(self) -> "RunConfig":
        if self.teacher.features == "cache":
            for name, value in self.distill.augment.beyond_flips.items():
                raise ValueError(
                    f"teacher.features is cache, which knows an image and its mirror alone, so distill.augment.{name} "
                    f"must be {'null' if value is None else value}, but is {getattr(self.distill.augment, name)!r}; "
                    "or set teacher.features: stream"
                )
        return self

    @model_validator(mode="after")
    def a_criterion_rates_what_was_supervised(self) -> "RunConfig":
        supervision, criterion = self.distill.supervision, self.rating.criterion
        if (supervision == "siamese") == (criterion == "population"):
            return self
        if supervision == "siamese" and criterion in COMPARING:
            raise ValueError(
                f"distill.supervision is siamese, which knows no teacher to compare with, so rating.criterion must be "
                f"population, but is {criterion!r}"
            )
        if criterion == "population":
            raise ValueError(
                f"rating.criterion is population, which reads the embeddings that siamese supernets learn, so "
                f"distill.supervision must be siamese, but is {supervision!r}; or set rating.criterion: feature"
            )
        return self

    @model_validator(mode="after")
    def siamese_supernets_can_learn(self) -> "RunConfig":
        if self.distill.supervision == "siamese":
            for fault in self._siamese_faults():
                raise ValueError(f"distill.supervision is siamese, {fault}")
        return self

    def _siamese_faults(self) -> Iterator[str]:
        """What else must hold under ``siamese``, as ends of a sentence."""
        if self.teacher.source.startswith("models:/"):
            yield (
                "whose blocks read a network without trained weights, so teacher.source must name a network that can "
                f"be made without them, but {self.teacher.source} comes with them"
            )
        if not self.distill.augment.beyond_flips:
            yield (
                "which compares two views of an image, so distill.augment must do more than flip: set min_scale below "
                f"1, rand_augment or random_erasing, but min_scale is {self.distill.augment.min_scale:g}"
            )
        if self.distill.batch_size < MIN_SIAMESE_BATCH:
            yield (
                f"which tells the images of a batch apart, so distill.batch_size must be at least {MIN_SIAMESE_BATCH}, "
                f"but is {self.distill.batch_size}"
            )
        if self.search_space.name == "substitute":
            for key in ("keep_teacher", "allow_skip"):
                if getattr(self.search_space, key):
                    yield (
                        f"where each cell must have weights that learn, so search_space.{key} must be false, but is "
                        "true: the teacher's block and a skip learn nothing, and their embeddings mean nothing"
                    )
        for key in ("num_trials", "measured", "trained"):
            if number := getattr(self.search, key):
                yield (
                    f"whose students have no trained head before they are retrained, so search.{key} must be 0, but is "
                    f"{number}"
                )
        signals = self.retrain.distillation
        if not self.teacher.is_trained and (signals.logits or signals.features):
            yield (
                "and the teacher has learnt nothing (teacher.recipe.epochs is 0, without weights), so "
                "retrain.distillation.logits and features must be 0, but are "
                f"{signals.logits:g} and {signals.features:g}"
            )

    @model_validator(mode="after")
    def limited_costs_are_asked_for(self) -> "RunConfig":
        for name, limit in self.search.budget.items():
            if limit is not None and name not in self.cost.kinds:
                raise ValueError(
                    f"search.budget.{name} is set, so cost.kinds must hold {name}, but is {self.cost.kinds}"
                )
        return self

    @model_validator(mode="after")
    def a_registered_teacher_cannot_be_made_anew(self) -> "RunConfig":
        if self.retrain.init == "scratch" and self.teacher.source.startswith("models:/"):
            raise ValueError(
                "retrain.init is scratch, so teacher.source must name a network that can be made without its weights, "
                f"but {self.teacher.source} comes with them; set retrain.init: inherit"
            )
        return self
