"""rating: every path of a block, rated on the rating part."""

import sys
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from helixnas import artifacts
from helixnas.config import RunConfig
from helixnas.data import ImageSet
from helixnas.rating import rate
from helixnas.results import trained
from helixnas.stages.loading import aimed_batch, load_loss, load_part, load_space, load_supernet, load_teacher
from helixnas.stages.setting import begin
from helixnas.student import num_calibration_images
from helixnas.teacher import BlockBatch


def run(config: RunConfig, block_id: int) -> None:
    """Run the stage: rate every path of one block, and save the table."""
    settings = config.rating
    setting = begin(f"rating@{block_id}", config, settings.num_threads)
    space = load_space(setting.root, config)
    block = space.blocks[block_id]
    teacher = load_teacher(setting.root, config, setting.device)
    supernet = load_supernet(setting.root, space, teacher, block_id).to(setting.device)
    train, part = load_part(setting.root, "train"), load_part(setting.root, "rating")
    part = part.first(settings.num_images) if settings.num_images else part
    # channels last: its kernels are faster on a CPU, and the order of sums alone changes
    for piece in (teacher.stem, *teacher.blocks, supernet):
        piece.to(memory_format=torch.channels_last)

    def batch(images_of: ImageSet, rows: Tensor) -> BlockBatch:
        images = images_of.normalized(rows).to(setting.device, memory_format=torch.channels_last)
        return aimed_batch(supernet, teacher, images)

    num_calibration = num_calibration_images(settings.num_calibration_images, len(train), [block.spec])
    chunks = train.first(num_calibration).batches(settings.batch_size)
    calibration = torch.cat([batch(train, rows).inputs for rows in chunks])
    table = rate(
        supernet,
        block,
        load_loss(setting.root, supernet),
        calibration,
        [partial(batch, part, rows) for rows in part.batches(settings.batch_size)],
        config.seed,
        setting.progress,
        settings.memory_mib * 2**20,
    ).check(block)
    frame = pd.DataFrame({"path": table.paths, "distill_loss": table.distill_loss})
    facts = {"space": space.digest, "num_images": table.num_images, "seed": table.seed}
    artifacts.save_table(setting.out / "rating.parquet", "rating", frame, facts)
    print(f"block {block_id}: {trained(table, block)}", file=sys.stderr)
