"""timm's pretrained weights, from a cache filled by hand: no test asks the network."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import save
from torch import Tensor, nn

from helixnas.config.schema import Teacher
from helixnas.errors import ConfigError
from helixnas.teacher import create

NAME = "test_resnet.r160_in1k"
COMMIT = "a" * 40
Fill = Callable[[bytes], None]


def asked(source: str, pretrained: bool = True, **model_args: object) -> Teacher:
    return Teacher.model_construct(source=source, model_args=model_args, pretrained=pretrained, weights=None)


@pytest.fixture(autouse=True)
def fill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Put a file into the Hub's cache as the weights of NAME."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))

    def fill(content: bytes) -> None:
        repository = tmp_path / f"models--timm--{NAME}"
        snapshot = repository / "snapshots" / COMMIT
        for folder in (snapshot, repository / "refs"):
            folder.mkdir(parents=True)
        (snapshot / "model.safetensors").write_bytes(content)
        (repository / "refs" / "main").write_text(COMMIT)

    return fill


@pytest.fixture
def published() -> Mapping[str, Tensor]:
    torch.manual_seed(3)
    network: nn.Module = timm.create_model("test_resnet")
    return network.state_dict()


@pytest.mark.parametrize("source", [f"timm:{NAME}", "timm:test_resnet"])
def test_pretrained_weights_come_from_timms_cache(source: str, published: Mapping[str, Tensor], fill: Fill) -> None:
    fill(save(dict(published)))
    network = create(asked(source), (3, 32, 32), 1000)
    assert all(torch.equal(tensor, published[name]) for name, tensor in network.state_dict().items())


def test_pretrained_weights_suit_grey_images_and_other_classes(published: Mapping[str, Tensor], fill: Fill) -> None:
    fill(save(dict(published)))
    state = create(asked("timm:test_resnet"), (1, 32, 32), 10).state_dict()
    first, *_, weight, bias = published
    assert torch.equal(state[first], published[first].sum(dim=1, keepdim=True))
    assert state[weight].shape[0] == len(state[bias]) == 10
    assert all(torch.equal(state[name], published[name]) for name in list(published)[1:-2])


def test_fresh_weights_ask_no_cache() -> None:
    create(asked("timm:test_resnet", pretrained=False), (3, 32, 32), 10)


def test_an_empty_cache_without_a_network_is_told_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"weights of timm's test_resnet, but they cannot be had: .*Fill the cache"):
        create(asked("timm:test_resnet"), (3, 32, 32), 10)


@pytest.mark.parametrize("content", [b"garbage", save({"another.weight": torch.zeros(2)})])
def test_a_cache_that_holds_something_else_is_told_in_a_line(content: bytes, fill: Fill) -> None:
    fill(content)
    with pytest.raises(ConfigError, match=r"cannot be had: .*Fill the cache") as caught:
        create(asked("timm:test_resnet"), (3, 32, 32), 1000)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_tag_that_timm_does_not_know_is_no_model(pretrained: bool) -> None:
    with pytest.raises(ConfigError, match=r"model of timm, but is 'test_resnet\.r999'\. Near: test_resnet"):
        create(asked("timm:test_resnet.r999", pretrained), (3, 32, 32), 10)


@pytest.mark.parametrize(
    "model_args",
    [
        {"bogus": 1},
        {"act_layer": "bogus"},
        {"output_stride": 7},
        {"channels": 8},
        {"channels": [-8, 8, 8, 8]},
        {"channels": [10**12, 8, 8, 8]},
        {"channels": [10**30, 8, 8, 8]},
        {"block": 3},
        {"in_chans": 3},
        {"checkpoint_path": "absent.pth"},
        {"checkpoint_path": __file__},
    ],
)
def test_arguments_that_timm_does_not_take_are_told(model_args: dict[str, object]) -> None:
    ((key, value),) = model_args.items()
    given = rf"Given is {key}: {re.escape(repr(value))}; change it in params\.yaml\.$"
    with pytest.raises(
        ConfigError, match=rf"teacher\.model_args must be what timm's test_resnet takes, but: .*{given}"
    ):
        create(asked("timm:test_resnet", pretrained=False, **model_args), (3, 32, 32), 10)
