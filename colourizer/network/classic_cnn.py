"""The original project's network: 183,195 parameters, grey in, RGB out, no skip connections.

Kept so that the original's checkpoints go on working and its recipe can be trained again; the
names of the layers are those in its checkpoints.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colourizer.colour.space import lightness_to_grey, rgb_to_lab


def _step(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU())


class ClassicCNN(nn.Module):
    """The original encoder-decoder; see `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.enc1, self.enc2 = _step(1, 12), _step(12, 24)
        self.enc3, self.enc4 = _step(24, 48), _step(48, 64)
        self.bottleneck = _step(64, 128)
        self.up1 = nn.ConvTranspose2d(128, 64, 2, stride=2)
        self.dec1 = _step(64, 48)
        self.up2 = nn.ConvTranspose2d(48, 24, 2, stride=2)
        self.dec2 = _step(24, 12)
        self.output_layer = nn.Conv2d(12, 3, 1)

    def forward(self, lightness: Tensor) -> Tensor:
        """Predict a photograph in colour.

        Args:
            lightness: (B, 1, H, W) in [0, 100]; H and W may be any size.

        Returns:
            rgb (B, 3, H, W) in [0, 1].
        """
        return self.forward_with_features(lightness)[0]

    def forward_with_features(self, lightness: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return `forward`'s rgb and the decoder's features at strides 2 and 1, with padding."""
        height, width = lightness.shape[-2:]
        grey = lightness_to_grey(lightness)  # what the original's layers see, (B, 1, H, W)
        features = F.pad(grey, (0, -width % 4, 0, -height % 4), mode="replicate")
        features = F.max_pool2d(self.enc2(self.enc1(features)), 2)  # (B, 24, H/2, W/2)
        features = F.max_pool2d(self.enc4(self.enc3(features)), 2)  # (B, 64, H/4, W/4)
        features = self.bottleneck(features)  # (B, 128, H/4, W/4)
        halfway = self.dec1(self.up1(features))  # (B, 48, H/2, W/2)
        features = self.dec2(self.up2(halfway))  # (B, 12, H, W)
        rgb = torch.sigmoid(self.output_layer(features))[..., :height, :width]
        return rgb, [halfway, features]

    def ab_of(self, output: Tensor) -> Tensor:
        """Return ab (B, 2, H, W) in Lab units of rgb (B, 3, H, W), as `forward` returns it."""
        return rgb_to_lab(output.float())[:, 1:]
