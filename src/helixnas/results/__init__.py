"""Values that stages hand on: costs and budgets, tables, the decision of the search, and the final figures."""

from helixnas.results.codec import (
    choice_from_json,
    choice_to_json,
    figures_from_json,
    figures_to_json,
    search_result_from_json,
    search_result_to_json,
)
from helixnas.results.cost import UNMEASURED, Budget, Cost
from helixnas.results.figures import (
    Comparison,
    Figure,
    Figures,
    LayerLoss,
    Retraining,
    TeacherAccuracy,
    mcnemar,
    wilson_interval,
)
from helixnas.results.tables import (
    Choice,
    CostTable,
    Lead,
    RatingTable,
    SearchResult,
    Trained,
    WorseThanIdentity,
    require_one_criterion,
    trained,
    worse_than_identity,
)

__all__ = [
    "UNMEASURED",
    "Budget",
    "Choice",
    "Comparison",
    "Cost",
    "CostTable",
    "Figure",
    "Figures",
    "LayerLoss",
    "Lead",
    "RatingTable",
    "Retraining",
    "SearchResult",
    "TeacherAccuracy",
    "Trained",
    "WorseThanIdentity",
    "choice_from_json",
    "choice_to_json",
    "figures_from_json",
    "figures_to_json",
    "mcnemar",
    "require_one_criterion",
    "search_result_from_json",
    "search_result_to_json",
    "trained",
    "wilson_interval",
    "worse_than_identity",
]
