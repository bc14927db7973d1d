"""The trials: how the predictions fared where an architecture was really measured."""

import math

import pandas as pd

from helixnas.report.charts import STUDENT, TEACHER, blank, embed
from helixnas.report.wording import agreement_sentence


def trials_chart(trials: pd.DataFrame) -> str:
    """Measured val_loss against predicted_loss, one point for each trial, as HTML; a sentence where there is none."""
    if trials.empty:
        return '<p class="empty">No architecture was measured, so the tables alone decided (search.num_trials: 0).</p>'
    figure = blank("predicted_loss, from the ratings", "val_loss, measured on the rating part", height=380)
    for is_chosen, name, color, size in ((False, "trial", TEACHER, 9), (True, "chosen", STUDENT, 13)):
        rows = trials[trials["is_chosen"] == is_chosen]
        figure.add_scatter(
            x=rows["predicted_loss"].tolist(),
            y=rows["val_loss"].tolist(),
            customdata=rows["arch_id"].tolist(),
            name=name,
            mode="markers",
            marker={"size": size, "color": color},
            hovertemplate="<b>%{customdata}</b><br>predicted_loss %{x:.4f}<br>val_loss %{y:.4f}<extra></extra>",
        )
    from scipy.stats import kendalltau  # takes a second to load, and the terminal's tables do not need it

    tau = float(kendalltau(trials["predicted_loss"], trials["val_loss"]).statistic) if len(trials) > 1 else math.nan
    agreement = agreement_sentence(None if math.isnan(tau) else tau, len(trials))  # no number where nothing differs
    return embed(figure, "trials", f"{len(trials)} trials.", agreement)
