"""What follows the last stage: the pipeline's run in MLflow, and the student as a registered version.

No stage of DVC, since a cache hit would skip it; it may be repeated, and then registers nothing twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from helixnas import artifacts, tracking
from helixnas.artifacts import folder
from helixnas.config import RunConfig
from helixnas.errors import ArtifactError
from helixnas.results import Figures, figures_from_json
from helixnas.tracking import Student, Version

FIGURES = folder("report") / "figures.json"
STUDENT = folder("retrain") / "student.safetensors"
ARCH = folder("retrain") / "arch.json"
NUM_EXAMPLE_IMAGES = 2


@dataclass(frozen=True, slots=True)
class Published:
    """What a pipeline ended with: MLflow's run (None where it was looked up), the version, the table of figures."""

    run_id: str | None
    version: Version
    figures: Figures


def begin(root: Path, config: RunConfig) -> str:
    """Open the pipeline's run in MLflow before the first stage, and return its id for ``publish`` or ``fail``."""
    return tracking.begin(tracking.open_store(root, config.tracking.experiment), root, config)


def fail(root: Path, config: RunConfig, outcomes: Mapping[str, str], run_id: str) -> None:
    """Close a run whose pipeline broke off: the stages in ``outcomes`` are recorded, the run is FAILED."""
    store = tracking.open_store(root, config.tracking.experiment)
    tracking.end(store, run_id, root, outcomes, None, is_ok=False)


def publish(
    root: Path, config: RunConfig, outcomes: Mapping[str, str] | None = None, run_id: str | None = None
) -> Published:
    """Register the student and record the pipeline, in the run that ``begin`` opened or in one of its own.

    ``outcomes`` maps DVC's stages (``distill@2``) to "ran", "cached" or "skipped"; without it, every stage that DVC
    has recorded here was skipped. ArtifactError where a file that the pipeline makes is missing.
    """
    figures = load_figures(root)
    outcomes = outcomes or dict.fromkeys(tracking.recorded_stages(root), "skipped")
    store = tracking.open_store(root, config.tracking.experiment)
    run_id = run_id or tracking.begin(store, root, config)
    try:
        version = tracking.register(
            store,
            config.tracking.model_name,
            lambda: _student(root, config, figures),
            figures=figures,
            dvc_md5=tracking.dvc_md5(root, STUDENT),
            commit=tracking.read_commit(root).sha,
            run_id=run_id,
        )
        tracking.end(store, run_id, root, outcomes, figures, is_ok=True)
    except BaseException:
        store.client.set_terminated(run_id, "FAILED")
        raise
    return Published(run_id, version, figures)


def published(root: Path, config: RunConfig) -> Published | None:
    """What was published of the student that lies in ``artifacts/``; None if it is not registered."""
    store = tracking.open_store(root, config.tracking.experiment)
    version = tracking.find(store, config.tracking.model_name, tracking.dvc_md5(root, STUDENT))
    return None if version is None else Published(None, version, load_figures(root))


def load_figures(root: Path) -> Figures:
    """The final figures that the report stage took."""
    return figures_from_json(artifacts.load_json(root / FIGURES, "figures"))


def _student(root: Path, config: RunConfig, figures: Figures) -> Student:
    """The student with what it has seen in training, which must be of the split that its figures are of."""
    # imported here, since with the student comes timm, and a version that is registered already needs neither
    from helixnas.data import ImageSet
    from helixnas.export import CARD, exported_files
    from helixnas.handover.parts import SEEN
    from helixnas.handover.student import load_deployed

    _, facts = artifacts.load_tensors(root / SEEN, "seen")
    if facts["split"] != figures.split:
        raise ArtifactError(f"{root / SEEN} must be of the split of {FIGURES}, but is of another. Run `dvc repro`.")
    part = ImageSet.load(root / folder("data") / "rating")
    example = part.read(part.batches(NUM_EXAMPLE_IMAGES)[0]).float() / 255
    files = exported_files(root / folder("export"))
    card = (root / folder("export") / CARD).read_text(encoding="utf-8")
    return Student(load_deployed(root, config), example.numpy(), (root / ARCH, root / SEEN, *files), card)
