"""Small networks of every kind that can be cut, and of every kind that cannot. Images [N, 3, 16, 16], ten classes."""

import torch
from torch import Tensor, nn


def conv(in_width: int, out_width: int, stride: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(in_width, out_width, 3, stride, 1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out_width), nn.ReLU())


class Residual(nn.Module):
    def __init__(self, in_width: int, out_width: int, stride: int = 1) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv(in_width, out_width, stride), conv(out_width, out_width))
        is_same = in_width == out_width and stride == 1
        self.shortcut = nn.Identity() if is_same else nn.Conv2d(in_width, out_width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.branch(x) + self.shortcut(x))


class ResNet(nn.Module):
    """Three stages of three residual blocks each."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8)
        self.stage1, self.stage2, self.stage3 = self._stage(8, 8), self._stage(8, 16), self._stage(16, 32)
        self.head = nn.Linear(32, 10)

    @staticmethod
    def _stage(in_width: int, out_width: int) -> nn.Sequential:
        first = Residual(in_width, out_width, stride=1 if in_width == out_width else 2)
        return nn.Sequential(first, *(Residual(out_width, out_width) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


class DenseBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv(width + 4 * index, 4) for index in range(3))

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, dim=1)))
        return torch.cat(features, dim=1)


class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8)
        self.dense1, self.down1 = DenseBlock(8), conv(20, 8, stride=2)
        self.dense2, self.down2 = DenseBlock(8), conv(20, 8, stride=2)
        self.dense3 = DenseBlock(8)
        self.head = nn.Linear(20, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dense3(self.down2(self.dense2(self.down1(self.dense1(self.stem(x))))))
        logits: Tensor = self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


class TransformerBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.query_key_value(self.norm(x)).chunk(3, dim=-1)
        x = x + nn.functional.scaled_dot_product_attention(query, key, value)
        y: Tensor = x + self.mlp(x)
        return y


class VisionTransformer(nn.Module):
    """Tokens with a class token before them; the number of images is read off the input and used behind the blocks."""

    def __init__(self, block: type[nn.Module] = TransformerBlock) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 12, 4, 4)
        self.class_token = nn.Parameter(torch.randn(1, 1, 12))
        self.positions = nn.Parameter(torch.randn(1, 17, 12))
        self.blocks = nn.ModuleList(block(12) for _ in range(6))
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        num_images, _, height, width = x.shape
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(num_images, -1, -1), x], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        x = self.norm(x).reshape(num_images, 1 + (height // 4) * (width // 4), -1)
        logits: Tensor = self.head(x[:, 0])
        return logits


class LastBlock(nn.Module):
    """Maps with channels last, as in Swin."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.mlp(x)
        return y


class ChannelsLast(nn.Module):
    """16 channels on maps of 8x8, then 8 channels, where the shape tells nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 2, 2)
        self.stage1 = nn.Sequential(LastBlock(16), LastBlock(16), LastBlock(16))
        self.narrow = nn.Linear(16, 8)
        self.stage2 = nn.Sequential(LastBlock(8), LastBlock(8), LastBlock(8))
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).permute(0, 2, 3, 1)
        logits: Tensor = self.head(self.stage2(self.narrow(self.stage1(x))).mean(dim=(1, 2)))
        return logits


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


class ReadsShapes(ResNet):
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


class InPlace(nn.Module):
    """Its ReLUs change the feature that a cut behind the addition would pass on."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(6))
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = x + layer(x)
            x = nn.functional.relu(x, inplace=True)
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits
