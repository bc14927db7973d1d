"""params.yaml, read once through Hydra's compose API, checked once by pydantic, then frozen."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from helixnas.config.schema import RunConfig
from helixnas.errors import ConfigError

FILE_NAME = "params.yaml"


def load(root: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The run that ``root/params.yaml`` describes, with Hydra overrides such as ``distill.lr=0.01`` on top.

    Not for threads: Hydra keeps its state in the process. Raises ConfigError naming the key, the value and the remedy.
    """
    if not (root / FILE_NAME).is_file():
        raise ConfigError(f"A run needs {FILE_NAME}, but {root} has none. Change to the project's folder.")
    try:
        return RunConfig.model_validate(_compose(root, overrides))
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(fault) for fault in error.errors())) from None


def _compose(root: Path, overrides: Sequence[str]) -> Any:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(root.resolve()), version_base="1.3"):
            return OmegaConf.to_container(compose("params", list(overrides)), resolve=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"{FILE_NAME} must be plain YAML with known keys, but: {text}") from None


def _explain(fault: Any) -> str:
    """One pydantic fault as a sentence: key, what must hold, value, remedy."""
    location = [part for part in fault["loc"] if not isinstance(part, str) or ("[" not in part and "-" not in part)]
    key = ".".join(map(str, location)) or FILE_NAME
    if fault["type"] == "extra_forbidden":
        return _unknown(location, key)
    if fault["type"] == "missing":
        return f"{key} must be set in {FILE_NAME}, but is missing. Add it."
    message = fault["msg"].removeprefix("Value error, ")
    value = "" if isinstance(fault["input"], dict) else f", but is {fault['input']!r}"
    return f"{key}: {message[0].lower()}{message[1:]}{value}. Change it in {FILE_NAME}."


def _unknown(location: list[Any], key: str) -> str:
    known = sorted(_fields(location[:-1]))
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    remedy = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(known)}."
    return f"{key} must be a known key of {FILE_NAME}, but is not. {remedy}"


def _fields(location: list[Any]) -> list[str]:
    """The field names of the section at ``location``; list positions are passed over."""
    section: type[BaseModel] = RunConfig
    for part in location:
        if isinstance(part, int) or part not in section.model_fields:
            continue
        annotation = section.model_fields[part].annotation
        arguments = getattr(annotation, "__args__", (annotation,))
        nested = [kind for kind in arguments if isinstance(kind, type) and issubclass(kind, BaseModel)]
        section = nested[0] if nested else section
    return list(section.model_fields)
