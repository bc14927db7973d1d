"""The sections of params.yaml, one for each stage, with units in the names of the keys."""

from typing import Annotated, Literal

from pydantic import Field, Tag, model_validator

from helixnas.config.recipes import Augment, Recipe, RetrainRecipe, Section
from helixnas.config.values import (
    DISTINCT,
    SHORT,
    WORD_OR_NUMBER,
    Argument,
    Auto,
    BatchSize,
    Blocks,
    Count,
    CountOrNone,
    Criterion,
    DataSource,
    FileName,
    Fraction,
    InnerShare,
    Kernel,
    KindName,
    Kinds,
    Limit,
    Operations,
    PositiveShare,
    Rate,
    Ratio,
    Repeats,
    RepeatsOrNone,
    Rungs,
    Seed,
    Several,
    Share,
    SpaceName,
    Supervision,
    TeacherSource,
    Text,
    Threads,
    Weight,
    WeightDecay,
    form,
)


class Data(Section):
    """The source of the images, and how it is read and split."""

    source: DataSource
    path: FileName
    image_size: Annotated[int, Field(ge=1, le=4096)]
    channels: Annotated[int, Field(ge=1, le=64)] | None
    mean: Annotated[list[Share], Field(max_length=64)] | None
    std: Annotated[list[Annotated[float, Field(ge=0.001, le=1000)]], Field(max_length=64)] | None
    split_seed: Seed
    test_fraction: Fraction
    rating_fraction: Fraction
    max_unreadable: Share
    pack_gb: Annotated[float, Field(ge=0, le=1_000_000)]


class Teacher(Section):
    source: TeacherSource
    model_args: dict[str, Argument]
    pretrained: bool
    weights: FileName | None
    block_ids: list[int]
    blocks: Blocks
    features: Literal["auto", "cache", "stream"]
    cache_gb: Annotated[float, Field(gt=0, le=1_000_000)]
    num_threads: Threads
    recipe: Recipe

    @property
    def is_trained(self) -> bool:
        """Whether the teacher learns here, or comes with weights that learnt elsewhere."""
        return bool(self.recipe.epochs or self.pretrained or self.weights) or self.source.startswith("models:/")

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
    width: Annotated[float, Field(ge=0.01, le=4)]


class Space(Section):
    """The search space; each space reads some of these keys."""

    name: SpaceName
    kernels: Annotated[list[Kernel], Field(min_length=1), DISTINCT]
    expansions: Annotated[list[Ratio], Field(min_length=1, max_length=20), DISTINCT]
    se_ratio: Annotated[Share, SHORT]
    bottlenecks: Annotated[list[InnerShare], Field(max_length=20), DISTINCT]
    attention: Annotated[list[InnerShare], Field(max_length=20), DISTINCT]
    mlp_ratios: Annotated[list[Ratio], Field(max_length=20), DISTINCT]
    operations: Operations
    token_operations: Operations
    cells: Annotated[list[CellShape], Field(max_length=100)]
    keep_teacher: bool
    allow_skip: bool
    fewer_layers: bool
    drop_dearer: bool

    def operations_of(self, block_id: int, *, is_tokens: bool) -> list[str]:
        """The custom operations that a block may take."""
        named = self.token_operations if is_tokens else self.operations
        return named if isinstance(named, list) else named.get(block_id, [])

    @model_validator(mode="after")
    def something_to_choose(self) -> "Space":
        if not self.cells and not self.keep_teacher:
            raise ValueError("cells must hold a cell, or keep_teacher be true: a block needs something to choose")
        return self


class Siamese(Section):
    """What ``supervision: siamese`` alone reads: views, widths of projector and predictor, EMA, anti-collapse."""

    inputs: Literal["parallel", "sequential"]
    pairs: Annotated[int, Field(ge=1, le=64)]
    hidden_width: Annotated[int, Field(ge=2, le=65_536)]
    embedding_width: Annotated[int, Field(ge=2, le=65_536)]
    momentum: Share
    variance_weight: Weight
    covariance_weight: Weight

    @model_validator(mode="after")
    def blocks_train_in_parallel(self) -> "Siamese":
        if self.inputs == "sequential":
            raise ValueError(
                "inputs must be parallel, but is 'sequential': there a block would wait for the ratings of the block "
                "before it, which the pipeline in dvc.yaml cannot say (docs/decisions/0012-dnapp.md)"
            )
        return self


class Distill(Section):
    supervision: Supervision
    updates: Count
    batch_size: BatchSize
    lr: Rate
    weight_decay: WeightDecay
    sampler: Literal["stratified", "fair", "uniform"]
    augment: Augment
    siamese: Siamese
    groups: Annotated[int, Field(ge=1, le=100)]
    compile: bool
    num_threads: Threads


class Rating(Section):
    criterion: Criterion
    num_images: CountOrNone
    num_calibration_images: Annotated[Annotated[Several, Tag("<number>")] | Auto, WORD_OR_NUMBER]
    batch_size: BatchSize
    memory_mib: Count
    tail_share: PositiveShare
    num_threads: Threads


class Latency(Section):
    runtime: Literal["onnxruntime", "torch", "openvino", "executorch"]
    command: Text | None
    timeout_s: Annotated[float, Field(gt=0, le=100_000)]
    batch_size: BatchSize
    num_rounds: Repeats
    quantile: Share


class CostSection(Section):
    kinds: Kinds
    latency: Latency
    num_threads: Threads


class Search(Section):
    budget: dict[KindName, Limit]
    num_best: Repeats
    num_trials: RepeatsOrNone
    measured: Annotated[int, Field(ge=0, le=2000)]
    trained: Annotated[int, Field(ge=0, le=2000)]
    rungs: Rungs
    fallback: Literal["warn", "measured", "refuse"]
    num_rounds: RepeatsOrNone
    time_limit_s: Annotated[float, Field(gt=0, le=1_000_000)]
    num_threads: Threads


class Distillation(Section):
    """The weights of a student's three losses: on labels, on the teacher's logits, on the teacher's features."""

    labels: Weight
    logits: Weight
    features: Weight
    temperature: Annotated[float, Field(ge=0.1, le=1000)]

    @model_validator(mode="after")
    def something_to_learn_from(self) -> "Distillation":
        if self.labels == self.logits == self.features == 0:
            raise ValueError("labels, logits or features must be above 0: a student needs something to learn from")
        return self


class Retrain(Section):
    init: Literal["inherit", "scratch"]
    num_threads: Threads
    distillation: Distillation
    recipe: RetrainRecipe


class Compare(Section):
    enabled: bool
    num_retrained: RepeatsOrNone
    random: RepeatsOrNone
    undistilled: bool
    from_scratch: bool
    num_threads: Threads


class Export(Section):
    int8: Literal["auto"] | bool
    max_acc_drop: Share
    tolerance: Annotated[float, Field(gt=0, le=1)]
    num_queries: Repeats
    num_threads: Threads


class Report(Section):
    num_latency_rounds: Repeats
    num_threads: Threads


class Tracking(Section):
    experiment: Text
    model_name: Annotated[Text, form(r"""[^/:.%"'@\\]+""", "a name without any of / : . % ' \" @ \\", 200)]
    max_acc_drop: Share


class Flow(Section):
    num_workers: Annotated[int, Field(ge=1, le=16)]
