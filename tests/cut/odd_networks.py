"""Small networks that torch.fx cannot follow, and such as cannot be cut at all. Images [N, 3, 16, 16], ten classes."""

import torch
from torch import Tensor, fx, nn

from tests.cut.networks import Residual, ResNet, VisionTransformer, conv


class ReadsData(nn.Module):
    """Branches on the data, so it can only be kept whole."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv(width, width), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y if y.sum() > 0 else -y


class OpaqueInside(ResNet):
    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(Residual(8, 8), ReadsData(), Residual(8, 8))


class ReadsShapes(VisionTransformer):
    """Branches on the image's shape: torch.fx cannot follow its code, torch.export can."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != 3 or len(x.shape) != 4:
            raise ValueError(x.shape)
        return super().forward(x)


class ReadsDataOutside(ResNet):
    """Looks at the values of the image in its own code: no graph can be had."""

    def forward(self, x: Tensor) -> Tensor:
        if not bool(torch.isfinite(x).all()):
            raise ValueError("the image must be finite")
        return super().forward(x)


@fx.wrap
def require_finite(x: Tensor) -> Tensor:
    if not bool(torch.isfinite(x).all()):
        raise ValueError("the image must be finite")
    return x


class ChecksData(ResNet):
    """The same check in a function that torch.fx is told to keep whole."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(require_finite(x))


class NeededLater(ResNet):
    """What the second stage gives is needed behind the third too."""

    def __init__(self) -> None:
        super().__init__()
        self.side = nn.Conv2d(16, 32, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage2(self.stage1(self.stem(x)))
        logits: Tensor = self.head((self.stage3(x) + self.side(x)).mean(dim=(2, 3)))
        return logits


class Flips(ResNet):
    """What it does depends on the data, between its modules."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.stage1(x) if x.sum() > 100 else self.stage1(-x)
        logits: Tensor = self.head(self.stage3(self.stage2(x)).mean(dim=(2, 3)))
        return logits


class Unet(ResNet):
    """The stem's feature is needed again at the end: two tensors cross all the way."""

    def forward(self, x: Tensor) -> Tensor:
        first = self.stem(x)
        x = self.stage3(self.stage2(self.stage1(first)))
        logits: Tensor = self.head(x.mean(dim=(2, 3)) + first.mean())
        return logits


class Noisy(ResNet):
    """Not the same twice, in a module of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stage2 = nn.Sequential(self.stage2, _Noise())


class _Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class Counting(ResNet):
    """Keeps a number between calls."""

    def __init__(self) -> None:
        super().__init__()
        self.num_calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.num_calls += 1
        return super().forward(x) + self.num_calls


class Pair(ResNet):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        logits = super().forward(x)
        return logits, logits


class TwoImages(ResNet):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x + y)
