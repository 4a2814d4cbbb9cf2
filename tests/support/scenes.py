"""Small photographs, and an Interrupt that is Ctrl-C after some steps."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from colourizer.runtime.interrupt import Interrupt

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "data" / "samples"


def scene(seed: int, height: int = 48, width: int = 64) -> Image.Image:
    """Return a colourful picture: smooth, with blue above and green below, and clouds over all."""
    rng = np.random.default_rng(seed)
    y = np.linspace(0, 1, height)[:, None]
    sky, grass = np.array([90, 150, 230]), np.array([70, 140, 40])
    rgb = np.where(y[..., None] < 0.3 + 0.4 * rng.random(), sky, grass)  # (height, 1, 3)
    clouds = Image.fromarray(rng.random((4, 5), dtype=np.float32)).resize((width, height))
    rgb = rgb * (0.6 + 0.4 * np.asarray(clouds))[..., None]
    return Image.fromarray((rgb + rng.normal(0, 4, rgb.shape)).clip(0, 255).astype(np.uint8))


def pixels_of(image: Image.Image) -> torch.Tensor:
    """Return an image's pixels, (3, H, W) uint8."""
    return torch.from_numpy(np.array(image)).movedim(-1, 0)


def stops_after(steps: int) -> type:
    """Return a subclass of Interrupt for train.py that reports Ctrl-C after some steps."""

    class StopsAfterSteps(Interrupt):
        left = steps

        @property
        def exit_code(self):
            self.left -= 1
            return 130 if self.left <= 0 else 0

        @exit_code.setter
        def exit_code(self, value):
            pass

    return StopsAfterSteps
