"""custom: which custom code and weights the data and the teacher come from.

The other stages depend on what this stage writes, so an edit in ``own/`` or ``examples/`` repeats those alone that use
the edited file. Code that is not found by its imports, and files that custom code reads, are not watched.
"""

import hashlib
from pathlib import Path

from helixnas import artifacts, source
from helixnas.artifacts import folder
from helixnas.config import RunConfig


def run(config: RunConfig) -> None:
    """Run the stage: write down the digests of the files that ``data.source`` and the section ``teacher`` name."""
    root = Path().resolve()
    used = {"data": _code(root, config.data.source), "teacher": _code(root, config.teacher.source)}
    weights = config.teacher.weights
    if weights is not None and Path(weights).is_file():  # else the teacher stage says what is missing
        with Path(weights).open("rb") as file:
            used["teacher"][weights] = hashlib.file_digest(file, "sha256").hexdigest()
    for stage, digests in used.items():
        artifacts.save_json(root / folder("custom") / f"{stage}.json", "custom", digests)


def _code(root: Path, name: str) -> dict[str, str]:
    """The digest of each file of the function that a key names; none where it names something else."""
    kind, _, function = name.partition(":")
    files = source.custom_files(root, function) if kind == "factory" else []
    return {path.relative_to(root).as_posix(): source.digest([path], root) for path in files}
