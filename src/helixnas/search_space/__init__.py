"""The vocabulary: what can be chosen. Pure Python, no torch."""

from helixnas.search_space.architecture import Architecture, Path
from helixnas.search_space.block import BlockSpace, BlockSpec, Cell, LayerSpec, SearchSpace
from helixnas.search_space.budget import COST_NAMES, Budget, Cost, quantity
from helixnas.search_space.build import build
from helixnas.search_space.candidate import SKIP, TEACHER, Candidate, mbconv, own
from helixnas.search_space.codec import (
    choice_from_json,
    choice_to_json,
    figures_from_json,
    figures_to_json,
    search_result_from_json,
    search_result_to_json,
)
from helixnas.search_space.figures import (
    Comparison,
    Figure,
    Figures,
    LayerLoss,
    Retraining,
    TeacherAccuracy,
    mcnemar,
    wilson_interval,
)
from helixnas.search_space.tables import (
    Choice,
    CostTable,
    Lead,
    RatingTable,
    SearchResult,
    Trained,
    WorseThanIdentity,
    trained,
    worse_than_identity,
)
from helixnas.search_space.target import TargetShape, keeps_interface, target_shape

__all__ = [
    "COST_NAMES",
    "SKIP",
    "TEACHER",
    "Architecture",
    "BlockSpace",
    "BlockSpec",
    "Budget",
    "Candidate",
    "Cell",
    "Choice",
    "Comparison",
    "Cost",
    "CostTable",
    "Figure",
    "Figures",
    "LayerLoss",
    "LayerSpec",
    "Lead",
    "Path",
    "RatingTable",
    "Retraining",
    "SearchResult",
    "SearchSpace",
    "TargetShape",
    "TeacherAccuracy",
    "Trained",
    "WorseThanIdentity",
    "build",
    "choice_from_json",
    "choice_to_json",
    "figures_from_json",
    "figures_to_json",
    "keeps_interface",
    "mbconv",
    "mcnemar",
    "own",
    "quantity",
    "search_result_from_json",
    "search_result_to_json",
    "target_shape",
    "trained",
    "wilson_interval",
    "worse_than_identity",
]
