"""Small networks that torch.fx cannot follow, and such as cannot be cut at all. Images [N, 3, 16, 16], ten classes."""

import torch
from torch import Tensor, nn

from tests.cut.networks import Residual, ResNet, Shift, VisionTransformer, conv


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
    """Looks at the image in its own code, without effect: only its modules' calls tell what it does."""

    def forward(self, x: Tensor) -> Tensor:
        if not bool(torch.isfinite(x).all()):
            raise ValueError("the image must be finite")
        return super().forward(x)


class Wrapped(nn.Module):
    """All in one module, which again no graph shows."""

    def __init__(self) -> None:
        super().__init__()
        self.network = ReadsDataOutside()

    def forward(self, x: Tensor) -> Tensor:
        if x.isnan().any():
            raise ValueError("the image must be numbers")
        logits: Tensor = self.network(x)
        return logits


class InPlaceModules(ReadsDataOutside):
    """The same by modules, where no graph can be had."""

    def __init__(self) -> None:
        super().__init__()
        stages = (self.stage1, self.stage2, self.stage3)
        self.stage1, self.stage2, self.stage3 = (nn.Sequential(stage, Shift()) for stage in stages)
        self.act1, self.act2, self.act3 = (nn.LeakyReLU(0.5, inplace=True) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        if x.isnan().any():
            raise ValueError("the image must be numbers")
        x = self.act3(self.stage3(self.act2(self.stage2(self.act1(self.stage1(self.stem(x)))))))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


class NeededLater(ReadsDataOutside):
    """What the second stage gives is needed behind the third too, where no graph can be had."""

    def __init__(self) -> None:
        super().__init__()
        self.side = nn.Conv2d(16, 32, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        if x.isnan().any():
            raise ValueError("the image must be numbers")
        x = self.stage2(self.stage1(self.stem(x)))
        logits: Tensor = self.head((self.stage3(x) + self.side(x)).mean(dim=(2, 3)))
        return logits


class RunsTwice(ReadsDataOutside):
    """The first stage runs twice, where no graph can be had."""

    def forward(self, x: Tensor) -> Tensor:
        if x.isnan().any():
            raise ValueError("the image must be numbers")
        x = self.stage3(self.stage2(self.stage1(self.stage1(self.stem(x)))))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
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
