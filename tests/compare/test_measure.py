from dataclasses import asdict

import pytest
import torch
from torch.nn.functional import cross_entropy

from helixnas.compare import Reached, Rival, reach, rival_from_json
from helixnas.data import ImageSet
from helixnas.results import holm, mcnemar
from tests.conftest import SmallNet
from tests.costs import three


@pytest.mark.parametrize(
    ("counts", "p_value"),
    [
        ((0, 0), 1.0),
        ((3, 3), 1.0),
        ((1, 7), 2 * 9 / 2**8),
        ((7, 1), 2 * 9 / 2**8),
        ((0, 6), 2 / 2**6),
        ((10, 2), 2 * (1 + 12 + 66) / 2**12),
    ],
)
def test_p_is_the_share_of_coin_throws_that_are_as_unequal(counts: tuple[int, int], p_value: float) -> None:
    assert mcnemar(*counts) == pytest.approx(p_value, abs=1e-12)


def test_loss_and_accuracy_are_of_the_whole_part(small_net: SmallNet, parts: dict[str, ImageSet]) -> None:
    part = parts["rating"]
    reached = reach(small_net, part)
    with torch.no_grad():
        logits = small_net.eval()(part.normalized()).double()
    num_right = sum(int(row.argmax()) == int(label) for row, label in zip(logits, part.labels, strict=True))
    assert reached.val_acc == pytest.approx(num_right / len(part))
    assert reached.val_loss == pytest.approx(float(cross_entropy(logits, part.labels)), rel=1e-6)


@pytest.mark.parametrize("after", [None, Reached(0.25, 0.75)])
def test_a_rival_comes_back_equal_from_plain_values(after: Reached | None) -> None:
    rival = Rival(
        "obvious_1",
        "teacher without 1+0 layers",
        "0:0-1:0",
        three(5, 4, 0.5),
        3,
        False,
        Reached(1, 0),
        after,
    )
    assert rival_from_json(asdict(rival)) == rival
    assert rival.has_weights == (after is not None)


def test_holms_p_values_are_those_of_the_textbook_and_keep_their_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
