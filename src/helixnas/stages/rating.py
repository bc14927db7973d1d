"""rating: every path of a block, rated on the rating part."""

import pandas as pd

from helixnas import artifacts
from helixnas.config import RunConfig
from helixnas.rating import rate
from helixnas.stages.loading import aimed_batch, load_loss, load_part, load_space, load_supernet, load_teacher
from helixnas.stages.setting import begin
from helixnas.teacher import block_batch


def run(config: RunConfig, block_id: int) -> None:
    settings = config.rating
    setting = begin(f"rating@{block_id}", config, settings.num_threads)
    space = load_space(setting.root, config)
    block = space.blocks[block_id]
    teacher = load_teacher(setting.root, config, setting.device)
    supernet = load_supernet(setting.root, space, teacher, block_id).to(setting.device)
    train, part = load_part(setting.root, "train"), load_part(setting.root, "rating")
    part = part.first(settings.num_images) if settings.num_images else part
    calibration = train.first(settings.num_calibration_images).normalized().to(setting.device)
    chunks = part.normalized().to(setting.device).split(settings.batch_size)
    table = rate(
        supernet,
        block,
        load_loss(setting.root, supernet),
        block_batch(teacher, block_id, calibration).inputs,
        [aimed_batch(supernet, teacher, chunk) for chunk in chunks],
        config.seed,
        setting.progress,
    ).check(block)
    frame = pd.DataFrame({"path": table.paths, "distill_loss": table.distill_loss})
    facts = {"space": space.digest, "num_images": table.num_images, "seed": table.seed}
    artifacts.save_table(setting.out / "rating.parquet", "rating", frame, facts)
