"""data: images in, three parts out."""

import csv
import io
import multiprocessing
import sys

from helixnas.artifacts import save_text
from helixnas.config import RunConfig
from helixnas.data import prepare
from helixnas.handover.setting import begin

MAX_LOADERS = 16


def run(config: RunConfig) -> None:
    """Run the stage: read and split the images, and save the parts."""
    setting = begin("data", config, num_threads=1)
    auto = min(MAX_LOADERS, multiprocessing.cpu_count())  # one a core: nothing runs beside this stage
    num_loaders = auto if config.num_loaders == "auto" else config.num_loaders
    prepared = prepare(config.data, setting.out, setting.progress, num_loaders)
    skipped = f"{len(prepared.unreadable)} unreadable images were skipped: see unreadable.csv"
    for note in [*prepared.notes, *([skipped] if prepared.unreadable else [])]:
        print(note, file=sys.stderr)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("image", "reason"), *prepared.unreadable])
    save_text(setting.out / "unreadable.csv", text.getvalue())
