"""Read params.yaml once through Hydra's compose API, check it once by pydantic, then freeze it."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from helixnas.config.plain import not_plain, read_plain, require_plain
from helixnas.config.run import RunConfig
from helixnas.errors import ConfigError

FILE_NAME = "params.yaml"
MAX_LETTERS = 200
"""The most letters of a key or a value that a message shows."""
MAX_FAULTS = 10


def load(root: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Load the run that ``root/params.yaml`` describes.

    Not for threads: Hydra keeps its state in the process.

    Args:
        root: The project's folder.
        overrides: Hydra overrides such as ``distill.lr=0.01``, which replace values of the file.

    Raises:
        ConfigError: The file or an override is wrong; the message names the key, the value and the remedy.
    """
    if not (root / FILE_NAME).is_file():
        raise ConfigError(f"A run needs {FILE_NAME}, but {root.resolve()} has none. Change to the project's folder.")
    read_plain(root / FILE_NAME)
    for override in overrides:
        require_plain(override)
        if location := _misspelt(override):
            raise ConfigError(_unknown(location))
    return check(_compose(root, overrides))


def check(values: Any) -> RunConfig:
    """Make the run that ``values`` describe, with sections as mappings.

    Raises:
        ConfigError: A value is wrong; the message names the key, the value and the remedy.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        faults = error.errors()
        # a misspelt key explains another fault: the key that was meant is reported as missing too
        meant = {(*fault["loc"][:-1], _near(fault["loc"])) for fault in faults if fault["type"] == "extra_forbidden"}
        causes = [fault for fault in faults if fault["type"] != "missing" or fault["loc"] not in meant]
        lines = list(dict.fromkeys(map(_explain, causes)))
        more = [f"And {len(lines) - MAX_FAULTS} more."] if len(lines) > MAX_FAULTS else []
        raise ConfigError("\n".join(lines[:MAX_FAULTS] + more)) from None


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
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        raise not_plain(FILE_NAME, error) from None


def _misspelt(override: str) -> list[str]:
    """The first part of an override's key that no section knows, with the parts before it; [] if all are known."""
    parts = override.partition("=")[0].lstrip("+~").split(".")
    section: type[BaseModel] = RunConfig
    for depth, part in enumerate(parts, 1):
        if part.isdecimal() and depth > 1:  # a place in a list
            continue
        if part not in section.model_fields:
            return parts[:depth]
        inner = _inner(section, part)
        if inner is None:  # a value, or a mapping with keys of its own
            break
        section = inner
    return []


def _explain(fault: Any) -> str:
    """One pydantic fault as a sentence: key, what must hold, value, remedy."""
    if fault["type"] == "extra_forbidden":
        return _unknown(fault["loc"])
    key = _key([part for part in fault["loc"] if str(part)[:1] not in {"<", "["}]) or FILE_NAME  # without pydantic's
    if fault["type"] == "missing":
        return f"{key} must be set in {FILE_NAME}, but is missing. Add it."
    message = "must be a section" if fault["type"] == "model_type" else fault["msg"].removeprefix("Value error, ")
    shown = repr(fault["input"])
    shown = shown if len(shown) <= MAX_LETTERS else f"{shown[:MAX_LETTERS]}..."
    value = "" if isinstance(fault["input"], dict) else f", but is {shown}"
    return f"{key}: {message[0].lower()}{message[1:]}{value}. Change it in {FILE_NAME}."


def _key(location: Sequence[Any]) -> str:
    """The parts of a key as one, unprintable letters escaped."""
    text = ".".join(map(str, location))
    return (text if text.isprintable() else repr(text)[1:-1])[:MAX_LETTERS]


def _unknown(location: Sequence[Any]) -> str:
    near = _near(location)
    remedy = f"Did you mean {near!r}?" if near else f"Known here: {', '.join(sorted(_fields(location[:-1])))}."
    return f"{_key(location)} must be a known key of {FILE_NAME}, but is not. {remedy}"


def _near(location: Sequence[Any]) -> str | None:
    """The known key that comes nearest to an unknown one, in the same section."""
    return next(iter(difflib.get_close_matches(str(location[-1]), sorted(_fields(location[:-1])), n=1)), None)


def _fields(location: Sequence[Any]) -> list[str]:
    """The field names of the section at ``location``; list positions are passed over."""
    section: type[BaseModel] = RunConfig
    for part in location:
        if part in section.model_fields:
            section = _inner(section, part) or section
    return list(section.model_fields)


def _inner(section: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The section that a field holds, alone or in a list; None if it holds none."""
    annotation = section.model_fields[name].annotation
    kinds = getattr(annotation, "__args__", (annotation,))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
