"""rating: every path of a block, rated on the rating part."""

import sys
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from helixnas import artifacts
from helixnas.config import RunConfig
from helixnas.data import ImageSet
from helixnas.handover.parts import load_part, load_raw_part
from helixnas.handover.setting import begin
from helixnas.handover.space import load_block
from helixnas.handover.student import load_beside, load_supernet
from helixnas.handover.teacher import load_feature_moments, load_teacher, load_untaught
from helixnas.rating import Sources, open_criterion, rate, reads_teacher
from helixnas.results import trained
from helixnas.student import num_calibration_images
from helixnas.teacher import BlockBatch


def run(config: RunConfig, block_id: int) -> None:
    """Run the stage: rate every path of one block, and save the table."""
    settings = config.rating
    setting = begin(f"rating@{block_id}", config, settings.num_threads)
    block = load_block(setting.root, config, block_id)
    has_teacher = reads_teacher(settings.criterion)
    teacher = (load_teacher if has_teacher else load_untaught)(setting.root, config, setting.device)
    supernet = load_supernet(setting.root, block, teacher).to(setting.device)
    load = load_part if has_teacher else load_raw_part
    train, part = load(setting.root, "train"), load(setting.root, "rating")
    part = part.first(settings.num_images) if settings.num_images else part
    # channels last: its kernels are faster on a CPU, and the order of sums alone changes
    for piece in (teacher.stem, *teacher.blocks, supernet):
        piece.to(memory_format=torch.channels_last)
    moments = load_feature_moments(setting.root, block_id) if has_teacher else None
    sources = Sources(supernet, load_beside(setting.root, block_id), teacher, moments, settings)
    criterion = open_criterion(settings.criterion, sources)

    def batch(images_of: ImageSet, rows: Tensor) -> BlockBatch:
        images = images_of.normalized(rows).to(setting.device, memory_format=torch.channels_last)
        return criterion.read(images)

    num_calibration = num_calibration_images(settings.num_calibration_images, len(train), [block.spec])
    chunks = train.first(num_calibration).batches(settings.batch_size)
    calibration = torch.cat([batch(train, rows).inputs for rows in chunks])
    table = rate(
        supernet,
        block,
        criterion,
        calibration,
        [partial(batch, part, rows) for rows in part.batches(settings.batch_size)],
        config.seed,
        setting.progress,
        settings.memory_mib * 2**20,
    ).check(block)
    frame = pd.DataFrame({"path": table.paths, "rating": table.ratings})
    facts = {"space": block.digest} | {
        name: getattr(table, name) for name in ("num_images", "seed", "criterion", "constant")
    }
    artifacts.save_table(setting.out / "rating.parquet", "ratings", frame, facts)
    print(f"block {block_id}: {trained(table, block)}", file=sys.stderr)
