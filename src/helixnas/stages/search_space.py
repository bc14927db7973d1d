"""search_space: the choices of each block, one file a block, with the digest of the code of its operations.

Distilling and rating a block depend on its file alone. So an operation that is added to one block, or edited, repeats
the blocks that use it; one that no block uses repeats nothing.
"""

from pathlib import Path

from helixnas import artifacts, source
from helixnas.config import RunConfig
from helixnas.handover.setting import begin
from helixnas.handover.space import load_specs, new_space
from helixnas.search_space import TEACHER, block_to_json
from helixnas.student import custom_name


def run(config: RunConfig) -> None:
    """Run the stage: build the search space of the cut teacher, and save it."""
    setting = begin("search_space", config, config.cost.num_threads)
    for block in new_space(load_specs(setting.root), config).blocks:
        custom = {kind: name for kind in block.kinds if (name := custom_name(kind))}
        code = {kind: _digest(setting.root, kind, custom) for kind in sorted(block.kinds - {TEACHER.kind})}
        value = {"asked": config.teacher.blocks, "custom": custom, "code": code, "block": block_to_json(block)}
        artifacts.save_json(setting.out / f"block_{block.block_id}.json", "search_space", value)


def _digest(root: Path, kind: str, custom: dict[str, str]) -> str:
    """The digest of the code of an operation."""
    if kind not in custom:
        return source.operation_digest(kind)
    return source.digest(source.custom_files(root.resolve(), custom[kind]), root.resolve())
