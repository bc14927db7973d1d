"""Where a network is cut, resolved: enough to cut a fresh copy of it in the same way, without a search."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from helixnas.errors import CutError

Method = Literal["fx", "export"]


@dataclass(frozen=True, slots=True)
class Boundaries:
    """``names``: the steps behind which to cut, one more than there are blocks; the first ends the stem.

    ``method`` says what a step is. ``fx``: a node of torch.fx's graph, recorded with ``modules`` looked into and all
    others whole. ``export``: a node of torch.export's graph.
    """

    method: Method
    names: tuple[str, ...]
    modules: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Boundaries":
        """Read the boundaries that ``dataclasses.asdict`` turned into plain types.

        Raises:
            CutError: The network was cut by a method that this version does not have.
        """
        if value["method"] not in get_args(Method):
            raise CutError(
                f"The teacher must be cut by one of {get_args(Method)}, but was cut by {value['method']!r}, by another "
                "version of HelixNAS. Run `dvc repro teacher`."
            )
        return cls(value["method"], tuple(value["names"]), tuple(value["modules"]))
