"""Which keys go together for a member of the DNA family, and what is told where they do not."""

from collections.abc import Sequence

import pytest

from helixnas.config import load
from helixnas.errors import ConfigError
from tests.conftest import ROOT

SIAMESE = (
    "distill.supervision=siamese",
    "rating.criterion=population",
    "distill.augment.min_scale=0.3",
    "teacher.features=auto",
    "search_space.keep_teacher=false",
    "search_space.allow_skip=false",
    "search.num_trials=0",
)


def test_siamese_goes_with_a_trained_teacher_too() -> None:
    assert load(ROOT, SIAMESE).distill.siamese.momentum == 0.99


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["rating.criterion=population"], r"criterion is population.*distill\.supervision must be siamese.*'teacher'"),
        (
            [*SIAMESE, "rating.criterion=feature"],
            r"is siamese.*rating\.criterion must be population.*'feature",
        ),
        ([*SIAMESE, "rating.criterion=output"], r"is siamese.*rating\.criterion must be population.*'output"),
        (
            [*SIAMESE, "distill.augment.min_scale=1"],
            r"distill\.augment must do more than flip: set min_scale",
        ),
        ([*SIAMESE, "distill.batch_size=2"], r"distill\.batch_size must be at least 4, but is 2"),
        ([*SIAMESE, "search_space.keep_teacher=true"], r"search_space\.keep_teacher must be false, but is true"),
        ([*SIAMESE, "search_space.allow_skip=true"], r"search_space\.allow_skip must be false, but is true"),
        ([*SIAMESE, "search.num_trials=2"], r"search\.num_trials must be 0, but is 2"),
        (
            [*SIAMESE, "teacher.source=models:/mine/1"],
            r"teacher\.source must name a network that can be made without .* but models:/mine/1 comes with them",
        ),
        (
            [*SIAMESE, "teacher.recipe.epochs=0"],
            r"teacher has learnt nothing.*retrain\.distillation\.logits and features must be 0, but are 0\.5 and 1",
        ),
        (
            ["distill.siamese.inputs=sequential"],
            r"inputs must be parallel, but is 'sequential'.*dvc\.yaml cannot say \(docs/decisions/0012-dnapp\.md\)",
        ),
    ],
)
def test_what_cannot_go_together_is_told_with_both_keys(overrides: Sequence[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(ROOT, overrides)


def test_keys_that_a_published_space_does_not_read_are_not_asked_for() -> None:
    load(ROOT, [*SIAMESE, "search_space.name=nats_size", "search_space.keep_teacher=true"])
