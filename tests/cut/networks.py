"""Small networks of every kind that falls apart where one tensor crosses. Images [N, 3, 16, 16], ten classes."""

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


class Shift(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - 0.1


class InPlaceBetween(ResNet):
    """What a stage gives is changed before the next one takes it, by the network's own code."""

    def __init__(self) -> None:
        super().__init__()
        stages = (self.stage1, self.stage2, self.stage3)
        self.stage1, self.stage2, self.stage3 = (nn.Sequential(stage, Shift()) for stage in stages)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in (self.stage1, self.stage2, self.stage3):
            x = stage(x).mul_(0.5)
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


class Windows(ResNet):
    """Its first stage works on the quarters of a map, as if each were an image."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        num_images, width, height, _ = x.shape
        half = height // 2
        quarters = x.reshape(num_images, width, 2, half, 2, half).permute(0, 2, 4, 1, 3, 5)
        x = self.stage1(quarters.reshape(4 * num_images, width, half, half))
        x = x.reshape(num_images, 2, 2, width, half, half).permute(0, 3, 1, 4, 2, 5)
        x = self.stage3(self.stage2(x.reshape(num_images, width, height, height)))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


class PooledConvolution(ResNet):
    """A heavy classifier of convolutions on what is pooled already."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Sequential(nn.Conv2d(32, 4096, 1), nn.ReLU(), nn.Conv2d(4096, 512, 1))
        self.head = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        logits: Tensor = self.head(self.hidden(self.pool(x)).flatten(1))
        return logits


class Ignores(nn.Module):
    """Is given the stem's feature too, and has no use for it."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor, first: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class PassesMore(ResNet):
    def __init__(self) -> None:
        super().__init__()
        self.stage2, self.stage3 = Ignores(self.stage2), Ignores(self.stage3)

    def forward(self, x: Tensor) -> Tensor:
        first = self.stem(x)
        x = self.stage3(self.stage2(self.stage1(first), first), first)
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


class _Twice(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, x * 0.5]


class GivesLists(ResNet):
    """A module gives a list, which the network's code goes through."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = _Twice()

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage1(self.stem(x))
        x = torch.stack([one * 2 for one in self.twice(x)]).sum(dim=0)
        logits: Tensor = self.head(self.stage3(self.stage2(x)).mean(dim=(2, 3)))
        return logits


class Scaled(nn.Module):
    def __init__(self, scale: nn.Parameter, kernel: int) -> None:
        super().__init__()
        self.scale = scale
        self.first, self.second = (nn.Conv2d(8, 8, kernel, padding=kernel // 2) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second((self.first(x) * self.scale).relu())
        return y


class SharesWeight(nn.Module):
    """Two modules read one weight: a light one first, and a heavy one that is cut in its middle."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8)
        scale = nn.Parameter(torch.tensor(1.5))
        self.light, self.heavy = Scaled(scale, 1), Scaled(scale, 5)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.heavy(self.light(self.stem(x))).mean(dim=(2, 3)))
        return logits
