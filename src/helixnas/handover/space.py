"""The blocks of the cut teacher, and what can be chosen for each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.blocks import BlockSpec
from helixnas.config import RunConfig
from helixnas.cost import without_dearer
from helixnas.errors import SpaceMismatchError
from helixnas.search_space import BlockSpace, SearchSpace, block_from_json, build
from helixnas.student import register_custom


def load_specs(root: Path) -> tuple[BlockSpec, ...]:
    """What the blocks of the cut teacher do."""
    fields: list[dict[str, Any]] = [
        {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        for value in load_cut(root)["blocks"]
    ]
    return tuple(BlockSpec(**each) for each in fields)


def load_cut(root: Path) -> Mapping[str, Any]:
    """What the teacher stage wrote of the cut."""
    value: Mapping[str, Any] = artifacts.load_json(root / folder("teacher") / "cut.json", "cut")
    return value


def load_space(root: Path, config: RunConfig) -> SearchSpace:
    """The search space of the cut teacher; SpaceMismatchError if it was cut into other blocks."""
    return SearchSpace(tuple(load_block(root, config, block_id) for block_id in range(len(load_cut(root)["blocks"]))))


def load_block(root: Path, config: RunConfig, block_id: int) -> BlockSpace:
    """The choices of a block, its custom operations made known; SpaceMismatchError if the teacher was cut elsewhere."""
    if load_cut(root)["asked"] != config.teacher.blocks:
        raise stale(root, "cut.json", "teacher.blocks")
    value = artifacts.load_json(block_file(root, block_id), "search_space")
    is_map = value["block"]["spec"]["layout"] != "NLC"
    names = list(value["custom"].values())
    register_custom(names if is_map else [], [] if is_map else names)
    return block_from_json(value["block"])


def block_file(root: Path, block_id: int) -> Path:
    """The file with the choices of a block, and the digests of their code."""
    return root / folder("search_space") / f"block_{block_id}.json"


def block_files(root: Path, space: SearchSpace) -> list[Path]:
    """The files with the choices of all blocks."""
    return [block_file(root, block.block_id) for block in space.blocks]


def new_space(specs: Sequence[BlockSpec], config: RunConfig) -> SearchSpace:
    """The search space of ``specs``, without what is dearer than the teacher's blocks where that is to be dropped."""
    space = whole_space(specs, config)
    return without_dearer(space) if config.search_space.drop_dearer else space


def whole_space(specs: Sequence[BlockSpec], config: RunConfig) -> SearchSpace:
    """All that ``search_space`` names for ``specs``, the user's own operations made known first."""
    settings, ids = config.search_space, [spec.block_id for spec in specs]
    for is_tokens in (False, True):
        names = dict.fromkeys(
            name for block_id in ids for name in settings.operations_of(block_id, is_tokens=is_tokens)
        )
        register_custom([] if is_tokens else list(names), list(names) if is_tokens else [])
    return build(specs, config.search_space)


def stale(root: Path, name: str, keys: str) -> SpaceMismatchError:
    """The error for a file of the teacher that belongs to other parameters than there are now."""
    path = root / folder("teacher") / name
    return SpaceMismatchError(f"{path} must belong to {keys} as they are now, but belongs to others. Run `dvc repro`.")


def require_space(path: Path, digest: str, block: BlockSpace) -> None:
    """Raise SpaceMismatchError unless a file is of this block's choices."""
    if digest != block.digest:
        raise SpaceMismatchError(
            f"{path} must belong to the search space {block.digest}, but belongs to {digest}. Run `dvc repro`."
        )
