"""The network: lightness in, logits over bins of ab colours out, at a quarter of the resolution.

An EfficientNet-Lite encoder and a U-Net decoder with self-attention at stride 16. One head serves
every recipe: the mean of the bins is a colour to regress on (L1), and the bins are classes
(cross-entropy). How vivid the colours become is decided after training, when they are read out
(colourizer/inference/readout.py).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from colourizer.colour.bins import ab_bin_centres, mean_of_bins
from colourizer.colour.space import MAX_LIGHTNESS

BN_EPS = 1e-3  # EfficientNet's, in TensorFlow
STRIDE = 32  # of the deepest feature map; any input is padded to a multiple of it
HEADS = 8  # of the self-attention

# (kernel, stride, expansion) of the seven stages of EfficientNet: Tan and Le, ICML 2019, table 1.
# The Lite variants leave out squeeze-and-excitation, and have ReLU6 for swish.
_SHAPES = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6))
STAGES = len(_SHAPES)
# encoder name -> (channels of each stage, repeats of each stage)
ENCODERS = {
    "lite0": ((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    "lite1": ((16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1)),
    "lite2": ((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
}
_SKIPS = (1, 2, 4, 6)  # the last stage at each of the strides 4, 8, 16, 32


@dataclass(frozen=True)
class ModelConfig:
    """What it takes to build the network; saved in every checkpoint."""

    encoder: str = "lite0"
    decoder_channels: tuple[int, int, int] = (256, 160, 96)  # at strides 16, 8, 4
    # Whether the bins' probabilities are likelihoods; after L1 alone only their mean is good.
    likelihoods: bool = True
    attention_blocks: int = 2  # at stride 16


class DepthwiseConv2d(nn.Conv2d):
    """Depthwise convolution, trained in fp32: in bf16 its gradient takes four times as long."""

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H/stride, W/stride)."""
        if not self.weight.requires_grad or not torch.is_autocast_enabled("cpu"):
            return super().forward(features)
        with torch.autocast("cpu", enabled=False):
            return super().forward(features.float()).bfloat16()


class ConvBNReLU(nn.Sequential):
    """Convolution, batch normalization, ReLU6; at stride 2 padded as TensorFlow's "SAME"."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> None:
        layers: list[nn.Module] = []
        if stride == 2:  # on even sizes "SAME" pads one pixel less before than after
            before, after = (kernel - 2) // 2, (kernel - 1) // 2
            layers.append(nn.ZeroPad2d((before, after, before, after)))
        padding = kernel // 2 if stride == 1 else 0
        kind = DepthwiseConv2d if groups > 1 else nn.Conv2d
        layers.append(kind(c_in, c_out, kernel, stride, padding, groups=groups, bias=False))
        layers.append(nn.BatchNorm2d(c_out, eps=BN_EPS))
        if relu:
            layers.append(nn.ReLU6(inplace=True))
        super().__init__(*layers)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand 1x1, depthwise, project 1x1; a shortcut where shapes allow."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        c_mid = c_in * expansion
        self.shortcut = stride == 1 and c_in == c_out
        self.layers = nn.Sequential(
            *([ConvBNReLU(c_in, c_mid, 1)] if expansion > 1 else []),
            ConvBNReLU(c_mid, c_mid, kernel, stride, groups=c_mid),
            ConvBNReLU(c_mid, c_out, 1, relu=False),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, c_in, H, W) to (B, c_out, H/stride, W/stride)."""
        out = self.layers(features)
        return features + out if self.shortcut else out


class Encoder(nn.Module):
    """EfficientNet-Lite without its classifier, for one channel of lightness."""

    def __init__(self, name: str) -> None:
        super().__init__()
        channels, repeats = ENCODERS[name]
        self.channels = tuple(channels[i] for i in _SKIPS)  # at strides 4, 8, 16, 32
        self.stem = ConvBNReLU(1, 32, kernel=3, stride=2)
        stages, c_in = [], 32
        shapes = zip(_SHAPES, channels, repeats, strict=True)
        for (kernel, stride, expansion), c_out, n in shapes:
            blocks = []
            for i in range(n):
                blocks.append(
                    InvertedResidual(c_in, c_out, kernel, stride if i == 0 else 1, expansion)
                )
                c_in = c_out
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, lightness: Tensor) -> list[Tensor]:
        """Return the features at strides 4, 8, 16 and 32 of lightness (B, 1, H, W) in [0, 100]."""
        first, *stages = self.stages
        # bf16 has too few bits for 256 grey levels: colours would be off by several Lab units.
        with torch.autocast(lightness.device.type, enabled=False):
            features = first(self.stem(lightness / (MAX_LIGHTNESS / 2) - 1))  # (B, 16, H/2, W/2)
        skips = []
        for i, stage in enumerate(stages, start=1):
            features = stage(features)
            if i in _SKIPS:
                skips.append(features)
        return skips


class DecoderStep(nn.Module):
    """Upsample by 2, concatenate the encoder's features of that size, two 3x3 convolutions."""

    def __init__(self, c_in: int, c_skip: int, c_out: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(ConvBNReLU(c_in + c_skip, c_out, 3), ConvBNReLU(c_out, c_out, 3))

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Map (B, c_in, H, W) and the skip (B, c_skip, 2H, 2W) to (B, c_out, 2H, 2W)."""
        features = F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
        return self.mix(torch.cat((features, skip), dim=1))


class AttentionBlock(nn.Module):
    """Pre-norm transformer block over all positions, initialized to the identity on [0, 6].

    Vaswani et al., NeurIPS 2017. The positional encoding is a depthwise convolution, which works at
    any size: Chu et al., Conditional Positional Encodings, ICLR 2023.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.mlp_norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )
        for layer in (self.position, self.project, self.mlp[2]):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape, in [0, 6] as after a ReLU6."""
        features = features + self.position(features)
        tokens = features.flatten(2).mT  # (B, HW, C)
        qkv = self.qkv(self.norm(tokens)).unflatten(
            -1, (3, HEADS, -1)
        )  # (B, HW, 3, HEADS, C/HEADS)
        attended = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))
        tokens = tokens + self.project(attended.transpose(1, 2).flatten(2))
        tokens = tokens + self.mlp(self.mlp_norm(tokens))
        return F.relu6(tokens.mT.unflatten(2, features.shape[2:]))


class Model_CNN(nn.Module):
    """The colourizing network; see `forward`."""

    bin_centres: Tensor
    bin_shares: Tensor

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__()
        self.config = config or ModelConfig()
        self._frozen: list[nn.Module] = []  # see `freeze_encoder`
        self._norm_is_frozen = False  # see `freeze_norm`
        self.encoder = Encoder(self.config.encoder)
        c4, c8, c16, c32 = self.encoder.channels
        d16, d8, d4 = self.config.decoder_channels
        self.deepest = ConvBNReLU(c32, d16, 1)
        self.context = nn.Linear(c32, d16)  # of the mean features, added at every position
        self.steps = nn.ModuleList(
            [
                DecoderStep(d16, c16, d16),
                DecoderStep(d16, c8, d8),
                DecoderStep(d8, c4, d4),
            ]
        )
        blocks = [AttentionBlock(d16) for _ in range(self.config.attention_blocks)]
        self.attention = nn.Sequential(*blocks)  # after the first step
        self.register_buffer("bin_centres", ab_bin_centres())  # (K, 2), ab in Lab units
        # (K,), the frequency of each bin's colours in the photographs that it was trained on
        uniform = torch.full((len(self.bin_centres),), 1 / len(self.bin_centres))
        self.register_buffer("bin_shares", uniform)
        self.head = nn.Conv2d(d4, len(self.bin_centres), 1)
        # Both start at zero: the mean features add nothing, and all bins are equally likely.
        for parameter in (*self.context.parameters(), *self.head.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, lightness: Tensor) -> Tensor:
        """Predict the logits of the bins of ab colours.

        Args:
            lightness: (B, 1, H, W) in [0, 100]; H and W may be any size.

        Returns:
            logits (B, K, ceil(H/4), ceil(W/4)), one for each of the K bins.
        """
        return self.forward_with_features(lightness)[0]

    def forward_with_features(self, lightness: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return `forward`'s logits and the decoder's features at strides 8 and 4, with padding."""
        height, width = lightness.shape[-2:]
        rows, columns = -(-height // 4), -(-width // 4)  # of the logits
        padding = (0, -width % STRIDE, 0, -height % STRIDE)
        lightness = F.pad(lightness, padding, mode="replicate")
        *skips, deepest = self.encoder(lightness)  # strides 4, 8, 16 and 32
        scene = self.context(deepest.mean(dim=(2, 3)))  # (B, d16)
        features = self.deepest(deepest) + scene[:, :, None, None]  # (B, d16, H/32, W/32)
        maps = []
        for n, (step, skip) in enumerate(zip(self.steps, reversed(skips), strict=True)):
            features = step(features, skip)  # (B, d4, H/4, W/4) in the end
            if n == 0:
                features = self.attention(features)
            maps.append(features)
        return self.head(features)[..., :rows, :columns], maps[1:]

    def ab_of(self, output: Tensor) -> Tensor:
        """Return the mean of the bins, ab (B, 2, H, W) in Lab units, of logits (B, K, H, W)."""
        return mean_of_bins(output, self.bin_centres)

    def freeze_encoder(self, stages: int) -> None:
        """Freeze the stem and the first stages: no gradients, batch norm in eval mode."""
        self._frozen = [self.encoder.stem, *self.encoder.stages[:stages]] if stages else []
        for part in self._frozen:
            part.requires_grad_(False)
        self.train(self.training)

    def freeze_norm(self) -> None:
        """Freeze the running means and variances of batch normalization; its weights still learn.

        Those of a few photographs of one kind are far from those of photographs in general.
        """
        self._norm_is_frozen = True
        self.train(self.training)

    def train(self, mode: bool = True) -> "Model_CNN":
        """Set training or eval mode; frozen parts stay in eval mode."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        if self._norm_is_frozen:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
