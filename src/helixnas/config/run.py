"""The whole of params.yaml: its sections, and what must hold between them."""

from typing import Annotated, Literal

from pydantic import Field, Tag, model_validator

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
    Section,
    Space,
    Teacher,
    Tracking,
)
from helixnas.config.values import WORD_OR_NUMBER, Auto, Seed
from helixnas.cost_kinds import kind


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
