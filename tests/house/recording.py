"""Which values of params.yaml a piece of code really reads, found by watching it run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from helixnas.config import RunConfig
from helixnas.config.recipes import Section


@contextmanager
def recorded(config: RunConfig) -> Iterator[set[str]]:
    """The dotted keys that the body reads: single values, and sections that it dumps as a whole.

    A dump of the whole configuration does not count: with it the stages only name their resume folder.
    """
    places = dict(_places(config, ""))
    hidden: dict[int, set[str]] = {}
    copies: list[Section] = []  # held, so that no id is given twice
    keys: set[str] = set()

    def copying(section: Section, place: str) -> Callable[..., Section]:
        def model_copy(*, update: dict[str, Any]) -> Section:
            copies.append(original(section, "model_copy")(update=update))
            places[id(copies[-1])], hidden[id(copies[-1])] = place, set(update)
            return copies[-1]

        return model_copy

    def read(section: Section, name: str) -> Any:
        place, value = places.get(id(section)), original(section, name)
        if place is None or name in hidden.get(id(section), ()):
            return value
        if name == "model_copy":
            return copying(section, place)
        if name == "model_dump" and place:
            keys.add(place)
        if name in type(section).model_fields and not isinstance(value, Section):
            keys.add(_join(place, name))
        return value

    original = Section.__getattribute__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Section, "__getattribute__", read)
        yield keys


def _places(section: Section, place: str) -> Iterator[tuple[int, str]]:
    yield id(section), place
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _places(value, _join(place, name))


def leaves(section: type[Section] = RunConfig, place: str = "") -> Iterator[str]:
    """The dotted key of every single value that the schema knows."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from leaves(kind, _join(place, name))
        else:
            yield _join(place, name)


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
