"""Keep what was measured in Optuna's journal, so that nothing is measured twice, whenever the process was killed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.trial import create_trial

from helixnas.results import Choice, Cost, Lead
from helixnas.search.journal import open_study
from helixnas.search.price import Pricer
from helixnas.search.refine import Measurement, lead_over
from helixnas.search_space import Architecture

Measure = Callable[[Sequence[Architecture], int], Sequence[Measurement]]
"""Function that measures students after so many epochs of training; 0 stands for as they are assembled."""


class Ledger:
    """The students that were measured, each by its architecture and its epochs of training.

    Every student is compared, image by image, with one reference that was trained for as many epochs. The losses of the
    reference lie in the journal, so a search that goes on after a kill measures nothing anew and ends the same.

    Args:
        journal: Optuna's file, named by all that a measurement depends on.
        price: Looks up costs and predictions in the tables.
        reference: The tables' optimum.
        measure: Measures what is not in the journal yet.
    """

    def __init__(self, journal: Path, price: Pricer, reference: Architecture, measure: Measure) -> None:
        self._study = open_study(journal, f"{price.space.digest}:{reference.arch_id}")
        self._price, self._reference, self._measure = price, reference, measure
        self._known: dict[tuple[str, int], Choice] = {}
        self._reference_losses: dict[int, NDArray[np.float64]] = {}
        for trial in self._study.get_trials(deepcopy=False):
            self._learn(trial.user_attrs, trial.value)

    def __call__(self, architectures: Sequence[Architecture], epochs: int) -> list[Choice]:
        """Return these students as measured, after measuring those that are not known, all at once."""
        wanted = [self._reference, *(each for each in architectures if each != self._reference)]
        missing = [each for each in wanted if (each.arch_id, epochs) not in self._known]
        for architecture, measurement in zip(missing, self._measure(missing, epochs) if missing else (), strict=True):
            self._write(architecture, epochs, measurement)
        return [self._known[each.arch_id, epochs] for each in architectures]

    def knows(self, architecture: Architecture, epochs: int) -> bool:
        """Tell whether a student was measured before."""
        return (architecture.arch_id, epochs) in self._known

    def _write(self, architecture: Architecture, epochs: int, measurement: Measurement) -> None:
        is_reference = architecture == self._reference
        losses = measurement.losses
        lead = lead_over(losses if is_reference else self._reference_losses[epochs], losses)
        val_loss = float(losses.mean())
        facts = {
            "arch_id": architecture.arch_id,
            "epochs": epochs,
            "measured": dict(measurement.cost),
            "lead": lead and asdict(lead),
            "losses": losses.tolist() if is_reference else None,
        }
        value = val_loss if math.isfinite(val_loss) else math.inf
        self._study.add_trial(create_trial(value=value, user_attrs=facts))  # one line of the journal: all or nothing
        self._learn(facts, value)

    def _learn(self, facts: dict[str, Any], val_loss: float | None) -> None:
        architecture, epochs = self._price.space.parse(facts["arch_id"]), facts["epochs"]
        if facts["losses"] is not None:
            self._reference_losses[epochs] = np.array(facts["losses"], dtype=np.float64)
        self._known[architecture.arch_id, epochs] = replace(
            self._price(architecture),
            val_loss=val_loss,
            measured=Cost(facts["measured"]),
            lead=facts["lead"] and Lead(**facts["lead"]),
        )
