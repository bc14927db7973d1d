"""Read params.yaml, check it, and freeze it as a RunConfig."""

from helixnas.config.load import load
from helixnas.config.plain import not_plain, read_plain
from helixnas.config.run import RunConfig

__all__ = ["RunConfig", "load", "not_plain", "read_plain"]
