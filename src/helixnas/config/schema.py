"""What params.yaml may say: one frozen section per stage, unknown keys forbidden, units in the names."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
Percent = Annotated[str, Field(pattern=r"^\d+(\.\d+)?%$")]
Limit = Annotated[float, Field(gt=0)] | Percent | None
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Augment(Section):
    """timm's training transform. ``rand_augment`` is timm's string, such as ``rand-m9-mstd0.5``."""

    min_scale: Fraction | Literal[1]
    hflip: Share
    rand_augment: str | None
    random_erasing: Share

    @property
    def beyond_flips(self) -> dict[str, Any]:
        """What makes a view other than the image or its mirror, with the value that would not."""
        plain = {"min_scale": 1, "rand_augment": None, "random_erasing": 0}
        return {name: value for name, value in plain.items() if getattr(self, name) != value}


class AnyRecipe(Section):
    """What every recipe says: timm's optimizer, scheduler (cosine), augmentation and EMA."""

    epochs: CountOrNone
    batch_size: Count
    optimizer: str
    weight_decay: Annotated[float, Field(ge=0)]
    warmup_epochs: CountOrNone
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    augment: Augment


class Recipe(AnyRecipe):
    """How a network is trained."""

    lr: Rate


class RetrainRecipe(AnyRecipe):
    """How a student is trained. "auto" leaves the learning rate to a short range test."""

    lr: Rate | Literal["auto"]

    def at(self, lr: float) -> Recipe:
        """The recipe with this learning rate."""
        return Recipe(**{**self.model_dump(), "lr": lr})


class Data(Section):
    source: Annotated[str, Field(pattern=r"^(digits|folder|parquet|torchvision:\w+|factory:[\w.]+:\w+)$")]
    path: Annotated[str, Field(min_length=1)]
    image_size: Count
    channels: Count | None
    mean: list[float] | None
    std: list[Rate] | None
    split_seed: Annotated[int, Field(ge=0, lt=2**31)]
    test_fraction: Fraction
    rating_fraction: Fraction
    max_unreadable: Share


# one kind of value is tried, not all, for one message; a tag with a hyphen stays out of the message's path
ModuleLists = Annotated[list[Annotated[list[str], Field(min_length=1)]], Field(min_length=1), Tag("module-lists")]
Blocks = Annotated[
    Annotated[Literal["auto"], Tag("no-list")] | Annotated[Count, Tag("number-of-blocks")] | ModuleLists,
    Discriminator(
        lambda value: (
            "no-list" if value == "auto" else {int: "number-of-blocks", list: "module-lists"}.get(type(value))
        ),
        custom_error_type="blocks",
        custom_error_message="must be auto, a number of blocks, or a list of the modules of each block",
    ),
]


class Teacher(Section):
    source: Annotated[
        str, Field(pattern=r"^(timm:.+|torchvision:\w+|factory:[\w.]+:\w+|models:/[^/@]+(/\d+|@[\w-]+))$")
    ]
    model_args: dict[str, bool | int | float | str | list[int] | None]
    pretrained: bool
    weights: str | None
    block_ids: list[int]
    blocks: Blocks
    features: Literal["auto", "cache", "stream"]
    cache_gb: Rate
    num_threads: Count
    recipe: Recipe

    @model_validator(mode="after")
    def block_ids_count_the_blocks(self) -> "Teacher":
        if self.blocks == "auto":
            num_blocks = max(1, len(self.block_ids))
        else:
            num_blocks = self.blocks if isinstance(self.blocks, int) else len(self.blocks)
        wanted = list(range(num_blocks))
        if self.block_ids != wanted:
            raise ValueError(f"block_ids must count the {num_blocks} blocks as {wanted}, but is {self.block_ids}")
        return self


class CellShape(Section):
    """A cell's depth in layers, and its inner width as a share of the block's output width."""

    depth: Annotated[int, Field(ge=1, le=8)]
    width: Annotated[float, Field(gt=0, le=4)]


class Space(Section):
    name: Annotated[str, Field(pattern=r"^(substitute|mbconv4?|nats_size|hytra|vit|factory:[\w.]+:\w+)$")]
    kernels: Annotated[list[Literal[1, 3, 5, 7, 9]], Field(min_length=1)]
    expansions: Annotated[list[Rate], Field(min_length=1)]
    se_ratio: Share
    bottlenecks: list[Annotated[float, Field(gt=0, le=1)]]
    attention: list[Annotated[float, Field(gt=0, le=1)]]
    mlp_ratios: list[Rate]
    operations: list[Annotated[str, Field(pattern=r"^[\w.]+:[a-z]\w*$")]]
    token_operations: list[Annotated[str, Field(pattern=r"^[\w.]+:[a-z]\w*$")]]
    cells: list[CellShape]
    keep_teacher: bool
    allow_skip: bool
    fewer_layers: bool
    drop_dearer: bool

    @model_validator(mode="after")
    def something_to_choose(self) -> "Space":
        if not self.cells and not self.keep_teacher:
            raise ValueError("cells must hold a cell, or keep_teacher be true: a block needs something to choose")
        return self


class Distill(Section):
    updates: Count
    batch_size: Count
    lr: Rate
    weight_decay: Annotated[float, Field(ge=0)]
    sampler: Literal["stratified", "fair", "uniform"]
    augment: Augment
    groups: Count
    compile: bool
    num_threads: Count


class Rating(Section):
    num_images: CountOrNone
    num_calibration_images: Annotated[int, Field(ge=2)] | Literal["auto"]
    batch_size: Count
    memory_mib: Count
    num_threads: Count


class Latency(Section):
    batch_size: Count
    num_rounds: CountOrNone
    quantile: Share


class CostSection(Section):
    latency: Latency
    num_threads: Count


class BudgetSection(Section):
    madds: Limit
    num_params: Limit
    latency_ms: Limit


class Search(Section):
    budget: BudgetSection
    num_best: Count
    num_trials: CountOrNone
    time_limit_s: Rate
    num_threads: Count


Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Distillation(Section):
    """The weights of what a student learns from: its labels, the teacher's logits, the teacher's features."""

    labels: Weight
    logits: Weight
    features: Weight
    temperature: Rate

    @model_validator(mode="after")
    def something_to_learn_from(self) -> "Distillation":
        if self.labels == self.logits == self.features == 0:
            raise ValueError("labels, logits or features must be above 0: a student needs something to learn from")
        return self


class Retrain(Section):
    init: Literal["inherit", "scratch"]
    num_threads: Count
    distillation: Distillation
    recipe: RetrainRecipe


class Compare(Section):
    enabled: bool
    num_retrained: CountOrNone
    random: CountOrNone
    num_threads: Count


class Report(Section):
    num_latency_rounds: Count
    num_threads: Count


class Tracking(Section):
    experiment: Annotated[str, Field(min_length=1)]
    model_name: Annotated[str, Field(min_length=1, pattern=r"^[^/:.%\"']+$")]
    max_acc_drop: Share


class Flow(Section):
    num_workers: Annotated[int, Field(ge=1, le=16)]


class RunConfig(Section):
    """The whole of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    device: Literal["auto", "cpu", "cuda"]
    num_loaders: Annotated[int, Field(ge=0, le=64)] | Literal["auto"]
    data: Data
    teacher: Teacher
    search_space: Space
    distill: Distill
    rating: Rating
    cost: CostSection
    search: Search
    retrain: Retrain
    compare: Compare
    report: Report
    tracking: Tracking
    flow: Flow

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
    def a_latency_budget_is_measured(self) -> "RunConfig":
        if self.search.budget.latency_ms is not None and self.cost.latency.num_rounds == 0:
            raise ValueError("search.budget.latency_ms is set, so cost.latency.num_rounds must be at least 1, but is 0")
        return self

    @model_validator(mode="after")
    def a_registered_teacher_cannot_be_made_anew(self) -> "RunConfig":
        if self.retrain.init == "scratch" and self.teacher.source.startswith("models:/"):
            raise ValueError(
                "retrain.init is scratch, so teacher.source must name a network that can be made without its weights, "
                f"but {self.teacher.source} comes with them; set retrain.init: inherit"
            )
        return self
