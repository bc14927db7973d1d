"""How many published classifiers are cut automatically, and proved: recomposed equals original.

    python benchmarks/cut_zoo.py [NAME ...]

Fresh weights, BatchNorm statistics and all, since a cut is about structure. No network is treated by its name. A rival
way is none here: the count is the figure. Exit code 1 below 90 %.
"""

import gc
import os
import platform
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import timm
import torch
from torch import nn
from torchvision import models

from helixnas.errors import CutError
from helixnas.teacher import cut

NUM_BLOCKS = 4
GOAL = 0.9
SIZE = 224
TIMM = [
    "resnet18",
    "resnet50",
    "seresnet50",
    "res2net50_26w_4s",
    "regnetx_004",
    "regnety_004",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "mobilenetv4_conv_small",
    "efficientnet_b0",
    "tf_efficientnetv2_b0",
    "mnasnet_100",
    "ghostnet_100",
    "convnext_atto",
    "convnextv2_atto",
    "densenet121",
    "vgg11_bn",
    "repvgg_a0",
    "dla34",
    "hrnet_w18_small",
    "cspresnet50",
    "inception_v3",
    "vit_tiny_patch16_224",
    "deit_tiny_patch16_224",
    "cait_xxs24_224",
    "swin_tiny_patch4_window7_224",
    "pvt_v2_b0",
    "twins_pcpvt_small",
    "mobilevit_s",
    "mobilevitv2_050",
    "levit_128s",
    "efficientformer_l1",
    "coat_lite_tiny",
    "coatnet_nano_rw_224",
    "maxvit_nano_rw_256",
    "mixer_s16_224",
    "resmlp_12_224",
    "gmlp_s16_224",
    "poolformer_s12",
    "edgenext_xx_small",
    "crossvit_tiny_240",
    "xcit_nano_12_p16_224",
    "convmixer_768_32",
    "focalnet_tiny_srf",
    "nextvit_small",
]
TORCHVISION = [
    "alexnet",
    "squeezenet1_1",
    "shufflenet_v2_x0_5",
    "googlenet",
    "mobilenet_v3_small",
    "mnasnet0_5",
    "swin_v2_t",
    "vit_b_32",
    "densenet121",
    "regnet_y_400mf",
]


def make(name: str) -> tuple[nn.Module, int]:
    """A fresh network and the size of its images; torchvision's names start with ``tv:``."""
    torch.manual_seed(0)
    if name.startswith("tv:"):
        options = {"init_weights": False} if name == "tv:googlenet" else {}
        return models.get_model(name.removeprefix("tv:"), weights=None, **options), SIZE
    network = timm.create_model(name, pretrained=False)
    return network, network.default_cfg["input_size"][-1]


def attempt(name: str) -> tuple[bool, str]:
    """Whether it was cut, and how, or why not."""
    network, size = make(name)
    start = time.perf_counter()
    try:
        teacher = cut(network, NUM_BLOCKS, torch.rand(2, 3, size, size))
    except CutError as error:
        return False, f"{time.perf_counter() - start:5.1f} s  {' '.join(str(error).split())[:150]}"
    shapes = " ".join("x".join(map(str, spec.out_shape)) for spec in teacher.specs)
    return True, f"{time.perf_counter() - start:5.1f} s  {teacher.boundaries.method:6} {shapes}"


def main() -> int:
    names = sys.argv[1:] or [*TIMM, *(f"tv:{name}" for name in TORCHVISION)]
    print(
        f"{len(names)} networks into {NUM_BLOCKS} blocks; {platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, timm {timm.__version__}"
    )
    num_cut = 0
    for name in names:
        is_cut, text = attempt(name)
        num_cut += is_cut
        print(f"{'cut' if is_cut else 'NOT':4}{name:30} {text}", flush=True)
        gc.collect()
    share = num_cut / len(names)
    print(f"{num_cut} of {len(names)} networks were cut and proved: {share:.0%} (goal {GOAL:.0%})")
    return 0 if share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
