"""Check that a YAML file or an override is plain, from its text, before any parser builds a value of it.

Hydra, OmegaConf, DVC and ruamel all read these texts, and a text that is not plain can make each of them hang or fail.
"""

from collections.abc import Iterator
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

from helixnas.errors import ConfigError

MAX_BYTES = 65_536
MAX_DEPTH = 16
MAX_NODES = 10_000
"""Keys and values, each alias counted as all that it repeats."""
MAX_LETTERS = 10_000
"""The most letters of one override."""
OF_HYDRA = {"defaults", "hydra"}
"""Keys at the top level that Hydra would take for itself."""


def read_plain(path: Path) -> str:
    """Return the text of a YAML file that holds one mapping of plain values.

    Raises:
        ConfigError: The file cannot be read; it is too large or nested too deeply, also once its aliases are followed;
            or it has tags, interpolations or more than one document.
    """
    from yaml import YAMLError

    if not path.is_file():  # a pipe would be waited for
        raise not_plain(path.name, "it is no file")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode()
        fault = next(chain(_excesses(text), _oddities(text)), None)
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise not_plain(path.name, error) from None
    if len(content) > MAX_BYTES:
        raise not_plain(path.name, f"it has more than {MAX_BYTES:,} bytes")
    if fault is not None:
        raise not_plain(path.name, fault)
    return text


def require_plain(override: str) -> None:
    """Require a plain override such as ``distill.lr=0.01``.

    Raises:
        ConfigError: The override is too long, nested too deeply, or has interpolations.
    """
    depth = max(accumulate((letter in "[{(") - (letter in "]})") for letter in override), default=0)
    faults = {
        f"it has {len(override):,} letters, more than {MAX_LETTERS:,}": len(override) > MAX_LETTERS,
        f"it is nested {depth:,} deep, more than {MAX_DEPTH}": depth > MAX_DEPTH,
        "it has an interpolation, ${...}": "${" in override,
    }
    for fault, is_there in faults.items():
        if is_there:
            raise not_plain(f"The override {override[:40]!r}", fault)


def not_plain(subject: str, fault: object) -> ConfigError:
    """Make the error for a text that is not plain, or that a parser refuses.

    Args:
        subject: The name of the text, such as ``params.yaml``.
        fault: The fault in the text, as an exception or a text.
    """
    text = " ".join(str(fault).split())[:300] or type(fault).__name__
    return ConfigError(f"{subject} must be plain YAML with known keys, but: {text}. Correct it.")


def _excesses(text: str) -> Iterator[str]:
    """Yield each way in which a YAML text is larger or deeper than a parser should have to build."""
    from yaml import events, parse

    num_nodes = 0
    around: list[tuple[str | None, int]] = []  # the anchor of each collection around, and how many nodes stand before
    sizes: dict[str | None, int] = {}
    for event in parse(text):
        if isinstance(event, events.CollectionEndEvent):
            anchor, num_before = around.pop()
            sizes[anchor] = num_nodes - num_before
        elif isinstance(event, events.NodeEvent):
            place = _place(event)
            if isinstance(event, events.AliasEvent) and event.anchor not in sizes:
                yield f"the alias *{event.anchor} in {place} repeats nothing that is complete before it"
            num_nodes += sizes[event.anchor] if isinstance(event, events.AliasEvent) else 1
            if isinstance(event, events.CollectionStartEvent):
                around.append((event.anchor, num_nodes - 1))
            elif isinstance(event, events.ScalarEvent):
                sizes[event.anchor] = 1
            if num_nodes > MAX_NODES or len(around) > MAX_DEPTH:
                yield f"by {place} it holds more than {MAX_NODES:,} values, or is nested more than {MAX_DEPTH} deep"


def _oddities(text: str) -> Iterator[str]:
    """Yield everything in a YAML text that is no plain value, or that means something else to Hydra."""
    from yaml import events, parse

    depth = num_documents = num_at_top = 0
    for event in parse(text):
        num_documents += isinstance(event, events.DocumentStartEvent)
        depth -= isinstance(event, events.CollectionEndEvent)
        if isinstance(event, events.NodeEvent):
            place, value, tag = _place(event), getattr(event, "value", ""), getattr(event, "tag", None)
            num_at_top += depth == 1
            is_key_at_top = depth == 1 and num_at_top % 2 == 1
            if depth == 0 and not isinstance(event, events.MappingStartEvent):
                yield "it holds no mapping"
            if tag is not None:
                yield f"{place} has the tag {tag}"
            if "${" in value:
                yield f"{place} has an interpolation, ${{...}}"
            if is_key_at_top and value in OF_HYDRA:
                yield f"{value} in {place} is a key of Hydra's"
            depth += isinstance(event, events.CollectionStartEvent)
    if num_documents != 1:
        yield f"it holds {num_documents or 'no'} documents"


def _place(event: Any) -> str:
    return f"line {event.start_mark.line + 1}"
