"""data: images in, three parts out."""

import csv
import io
import sys

from helixnas.artifacts import save_text
from helixnas.config import RunConfig
from helixnas.data import prepare
from helixnas.handover.setting import begin


def run(config: RunConfig) -> None:
    """Run the stage: read and split the images, and save the parts."""
    setting = begin("data", config, num_threads=1)
    prepared = prepare(config.data, setting.progress)
    for name, part in prepared.parts.items():
        part.save(setting.out / f"{name}.safetensors")
    skipped = f"{len(prepared.unreadable)} unreadable images were skipped: see unreadable.csv"
    for note in [*prepared.notes, *([skipped] if prepared.unreadable else [])]:
        print(note, file=sys.stderr)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("image", "reason"), *prepared.unreadable])
    save_text(setting.out / "unreadable.csv", text.getvalue())
