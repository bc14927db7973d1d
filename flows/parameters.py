"""Presets and overrides, written into params.yaml, where DVC sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helixnas.artifacts import save_text
from helixnas.config import load, not_plain, read_plain
from helixnas.config.load import FILE_NAME
from helixnas.errors import ConfigError
from helixnas.scratch import scratch

if TYPE_CHECKING:
    from ruamel.yaml import YAML

PRESETS = Path("conf/preset")
REPLACED = {"model_args"}
"""Mappings that are given as a whole: the arguments of one teacher mean nothing to another."""


def change(root: Path, preset: str | None, overrides: Sequence[str]) -> None:
    """Write a preset of conf/preset, then overrides such as ``distill.lr=0.01``, into params.yaml, comments kept.

    ConfigError, and params.yaml as it was, if the result could not work.
    """
    if preset is None and not overrides:
        return
    overrides = [f"++{override}" if _is_replacing(override) else override for override in overrides]
    load(root, () if preset else overrides)  # whole, before it is filled
    with scratch() as folder:
        copy = folder / FILE_NAME
        copy.write_bytes((root / FILE_NAME).read_bytes())
        if preset is not None:
            _fill(copy, root, preset)
        load(copy.parent, overrides)
        if overrides:
            from dvc.utils.hydra import apply_overrides

            keys = [override.partition("=")[0].removeprefix("++").split(".") for override in overrides]
            replaced = [key for key, override in zip(keys, overrides, strict=True) if _is_replacing(override)]
            if replaced:  # taken out first, since the overrides give these mappings as a whole
                values = _read(copy)
                for section, key in replaced:
                    values[section][key] = {}
                _yaml().dump(values, copy)
            apply_overrides(copy, list(overrides))
        save_text(root / FILE_NAME, copy.read_text(encoding="utf-8"))


def _fill(path: Path, root: Path, preset: str) -> None:
    known = sorted(file.stem for file in (root / PRESETS).glob("*.yaml"))
    if preset not in known:
        raise ConfigError(f"A preset must be one of {', '.join(known)} (in {PRESETS}), but is {preset!r}.")
    values = _read(path)
    _merge(values, _read(root / PRESETS / f"{preset}.yaml"))
    _yaml().dump(values, path)


def _read(path: Path) -> Any:
    from ruamel.yaml.error import YAMLError

    text = read_plain(path)
    try:
        return _yaml().load(text)
    except (YAMLError, ValueError) as error:
        raise not_plain(path.name, error) from None


def _yaml() -> YAML:
    """Reads and writes params.yaml so that comments and layout stay."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def _merge(values: Any, preset: Mapping[str, Any]) -> None:
    for key, value in preset.items():
        if isinstance(value, Mapping) and key not in REPLACED and isinstance(values.get(key), Mapping):
            _merge(values[key], value)
        else:
            values[key] = value


def _is_replacing(override: str) -> bool:
    """Whether it gives a mapping as a whole, which Hydra would merge into the one that is there."""
    key, _, value = override.partition("=")
    return key.rpartition(".")[-1] in REPLACED and value.startswith("{")
