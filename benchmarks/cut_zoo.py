"""How many published classifiers can be cut into blocks by themselves, and proved: the pieces in a row are the whole.

Fresh weights, all of them moved a little at random: many networks start with branches that give nothing, and a proof
would not see those. No network is treated by its name. A rival way is none here: the count is the figure.
Run: python benchmarks/cut_zoo.py [NAME ...], a name as params.yaml has it, such as timm:resnet18
"""

import gc
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import timm
import torch
import torchvision
from torch import Tensor, nn
from torchvision import models

from helixnas.cost import count
from helixnas.cut import CutTeacher, cut
from helixnas.errors import CutError
from helixnas.telling import quantity

NUM_BLOCKS = 4
NUM_IMAGES = 2
GOAL = 0.9
SIZE = 224
TIMM = """
resnet18 resnet50 seresnet50 skresnet18 resnest14d res2net50_26w_4s resnetv2_50 nf_resnet50 cspresnet50 botnet26t_256
regnetx_004 regnety_004 gernet_s repvgg_a0 mobileone_s0 vgg11_bn densenet121 dpn48b dla34 hrnet_w18_small vovnet39a
selecsls42 inception_v3 xception41 mobilenetv2_100 mobilenetv3_small_100 mobilenetv4_conv_small mnasnet_100
efficientnet_b0 tf_efficientnetv2_b0 tinynet_e ghostnet_100 rexnet_100 fasternet_t0 starnet_s1 repvit_m0_9 fastvit_t8
convnext_atto convnextv2_atto inception_next_tiny mambaout_femto
vit_tiny_patch16_224 deit_tiny_distilled_patch16_224 eva02_tiny_patch14_224 cait_xxs24_224 xcit_nano_12_p16_224
pit_ti_224 tnt_s_patch16_224 crossvit_tiny_240 hiera_tiny_224 mvitv2_tiny volo_d1_224
swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 pvt_v2_b0 twins_svt_small davit_tiny nest_tiny tiny_vit_5m_224
mixer_s32_224 resmlp_12_224 gmlp_ti16_224 poolformer_s12 caformer_s18 focalnet_tiny_srf sequencer2d_s
mobilevit_xxs mobilevitv2_050 edgenext_xx_small levit_128s efficientformer_l1 efficientformerv2_s0 efficientvit_b0
coatnet_nano_rw_224 coat_tiny coat_lite_tiny maxvit_tiny_rw_224 nextvit_small visformer_tiny
"""
TORCHVISION = """
alexnet squeezenet1_1 googlenet inception_v3 resnet18 mobilenet_v2 mobilenet_v3_small shufflenet_v2_x0_5 densenet121
regnet_y_400mf efficientnet_b0 convnext_tiny vit_b_32 swin_v2_t maxvit_t
"""
ZOO = [*(f"timm:{name}" for name in TIMM.split()), *(f"torchvision:{name}" for name in TORCHVISION.split())]


def make(source: str) -> tuple[nn.Module, int]:
    """The network, and the side of its images."""
    torch.manual_seed(0)
    kind, _, name = source.partition(":")
    if kind == "timm":
        network = timm.create_model(name)
        size = network.default_cfg["input_size"][-1]
        size = size if network.default_cfg.get("fixed_input_size") else min(size, SIZE)
    else:
        own = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}  # else it warns of minutes
        network, size = models.get_model(name, weights=None, **own), SIZE
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.02 if weight.ndim > 1 else 0.1)
    return network.eval(), size


@torch.no_grad()
def difference(teacher: CutTeacher, images: Tensor) -> float:
    """The largest between the pieces' logits and the network's, in units of the largest logit."""
    x = teacher.stem(images)
    for block in teacher.blocks:
        x = block(x)
    whole = teacher.network(images)
    return float((teacher.head(x) - whole).abs().max() / whole.abs().max())


def told(teacher: CutTeacher, images: Tensor) -> Iterator[str]:
    """One network's row."""
    whole = count(teacher.network, tuple(images.shape[1:]), ["madds"])["madds"]
    yield f"{teacher.boundaries.method:6} {quantity('madds', whole):>7} {difference(teacher, images):7.0e} "
    for piece, spec in zip(teacher.blocks, teacher.specs, strict=True):
        share = count(piece, spec.in_shape, ["madds"])["madds"] / whole
        yield f" {spec.layout} {'x'.join(map(str, spec.out_shape))} {share:.0%}"


def attempt(source: str) -> tuple[bool, str]:
    """Whether it was cut, and how, or why not."""
    network, size = make(source)
    images = torch.randn(NUM_IMAGES, 3, size, size)
    start = time.perf_counter()
    try:
        teacher = cut(network, NUM_BLOCKS, images)
    except CutError as error:
        return False, str(error)
    return True, f"{time.perf_counter() - start:5.1f} s {''.join(told(teacher, images))}"


def main(sources: list[str]) -> int:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    print(
        f"{len(sources)} networks into {NUM_BLOCKS} blocks, fresh weights (seed 0), {NUM_IMAGES} images\n"
        f"{'network':46} {'time':>7} {'how':6} {'madds':>7} {'differs':>7}  each block's output and share of the madds"
    )
    start, failed = time.perf_counter(), []
    for source in sources:
        is_cut, text = attempt(source)
        gc.collect()
        print(f"{source:46} {text if is_cut else 'not cut'}", flush=True)
        failed += [] if is_cut else [(source, text)]
    for source, reason in failed:
        print(f"\nnot cut: {source}\n  {reason}")
    num_cut = len(sources) - len(failed)
    print(
        f"\n{num_cut} of {len(sources)} networks cut and proved, {num_cut / len(sources):.1%} (goal {GOAL:.0%}), in "
        f"{time.perf_counter() - start:.0f} s on {cpu()}, {torch.get_num_threads()} threads; "
        f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"timm {timm.__version__}"
    )
    return 0 if num_cut / len(sources) >= GOAL else 1


def cpu() -> str:
    """The processor's name and the cores at hand."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return f"{names[0] if names else platform.machine()} ({os.cpu_count()} cores)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ZOO))
