"""The time that a stage is planned to take follows from what the stage will run."""

import pytest

from helixnas.config import RunConfig
from helixnas.cut import CutTeacher
from helixnas.plan.workload import Likely, Sizes, _Estimate
from helixnas.search_space import Architecture, SearchSpace


def test_the_search_takes_longer_the_more_is_measured_and_trained(
    config: RunConfig, teacher: CutTeacher, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helixnas.plan.workload.seconds", lambda work: 1.0)
    first = Architecture(tuple(block.path_at(0) for block in space.blocks))

    def search_s(**changed: object) -> float:
        other = config.model_copy(update={"search": config.search.model_copy(update=changed)})
        return _Estimate(other, Sizes(1000, 200, 200, (1, 8, 8)), teacher, space, Likely(first, 1.0, 0)).search().time_s

    none_s = search_s(num_trials=0)
    assert search_s(num_trials=0, measured=30) - none_s == pytest.approx(3 * (search_s(num_trials=10) - none_s))
    one_s, nine_s = (search_s(num_trials=0, trained=1, rungs=rungs) - none_s for rungs in ([1], [1, 3, 9]))
    assert 0 < one_s < nine_s  # 13 epochs, and as long a range test


def test_rating_at_the_output_takes_longer_the_larger_the_share_of_paths_is(
    config: RunConfig, teacher: CutTeacher, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helixnas.plan.workload.seconds", lambda work: 1.0)
    first = Architecture(tuple(block.path_at(0) for block in space.blocks))

    def rating_s(**changed: object) -> float:
        other = config.model_copy(update={"rating": config.rating.model_copy(update=changed)})
        estimate = _Estimate(other, Sizes(1000, 200, 200, (1, 8, 8)), teacher, space, Likely(first, 1.0, 0))
        return estimate.rating(space.blocks[0], estimate.supernets[0]).time_s

    feature_s = rating_s(criterion="feature")
    assert space.blocks[0].num_paths == 7
    some_s, whole_s = (rating_s(criterion="output", tail_share=share) - feature_s for share in (0.5, 1.0))
    assert 0 < 4 * whole_s == pytest.approx(7 * some_s)  # half of the paths, rounded up
