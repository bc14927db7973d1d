"""Batches made ahead by other processes: the same ones, in the same order."""

import os
import random

import pytest
import torch
from torch import Tensor

from helixnas.data import ahead, resolve_loaders
from helixnas.errors import ConfigError
from helixnas.fit import pinned

STEPS = range(3, 12)


def batch(step: int) -> Tensor:
    with pinned(step):
        return torch.cat([torch.rand(4), torch.tensor([random.random(), step])])


@pytest.mark.parametrize("num_loaders", [1, 2])
def test_loaders_change_neither_what_is_made_nor_its_order(num_loaders: int) -> None:
    here, there = list(ahead(batch, STEPS, 0)), list(ahead(batch, STEPS, num_loaders))
    assert torch.equal(torch.stack(here), torch.stack(there))


def test_they_are_other_processes_and_draw_nothing_from_this_one() -> None:
    torch.manual_seed(0)
    pids = {int(pid) for pid in ahead(lambda _: torch.tensor(os.getpid()), STEPS, 2)}
    assert len(pids) == 2
    assert os.getpid() not in pids
    drawn = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(3))


def test_a_fault_in_one_reaches_the_step_that_wanted_the_batch() -> None:
    def broken(step: int) -> Tensor:
        if step == 5:
            raise ConfigError("augment.hflip must be a share")
        return batch(step)

    made = ahead(broken, STEPS, 1)
    assert torch.equal(next(made), batch(3))
    with pytest.raises(ConfigError, match=r"^augment\.hflip must be a share$"):  # its text alone, without a traceback
        list(made)


def test_auto_is_none_on_a_cpu_and_some_beside_a_gpu() -> None:
    assert resolve_loaders("auto", torch.device("cpu")) == 0
    assert 1 <= resolve_loaders("auto", torch.device("cuda")) <= 4
    assert [resolve_loaders(number, torch.device("cpu")) for number in (0, 7)] == [0, 7]
