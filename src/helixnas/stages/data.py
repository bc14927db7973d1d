"""data: images in, three parts out."""

from helixnas.config import RunConfig
from helixnas.data import prepare
from helixnas.stages.setting import begin


def run(config: RunConfig) -> None:
    setting = begin("data", config, num_threads=1)
    data = config.data
    parts = prepare(data.source, data.image_size, data.test_fraction, data.rating_fraction, setting.seed)
    for name, part in parts.items():
        part.save(setting.out / f"{name}.safetensors")
    setting.progress(1, 1)
