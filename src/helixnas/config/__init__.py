"""params.yaml in, a frozen RunConfig out."""

from helixnas.config.load import load
from helixnas.config.plain import not_plain, read_plain
from helixnas.config.schema import RunConfig

__all__ = ["RunConfig", "load", "not_plain", "read_plain"]
