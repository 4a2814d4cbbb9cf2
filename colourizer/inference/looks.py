"""Looks: named settings of vividness, warmth and saturation, and what these do to chroma."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.colour.space import MAX_LIGHTNESS
from colourizer.inference.readout import DEFAULT_VIVIDNESS

# Lab units, (a, b): what warmth 1 adds to chroma at middle lightness. It is the colour of daylight
# of 5000 K (CIE D50) where that of 6500 K (D65), the white of sRGB, is white.
WARM_SHIFT = (2.4, 17.7)
MAX_SATURATION = 2.0


@dataclass(frozen=True)
class Look:
    """How colours are read out of a prediction.

    vividness: from 0, the safe mean of all likely colours, to 1, the most vivid.
    warmth: from -1, bluish, to 1, yellowish; 0 changes nothing.
    saturation: what chroma is multiplied by, from 0, grey, to MAX_SATURATION.
    """

    vividness: float = DEFAULT_VIVIDNESS
    warmth: float = 0.0
    saturation: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError."""
        for name, low, high in (
            ("vividness", 0, 1),
            ("warmth", -1, 1),
            ("saturation", 0, MAX_SATURATION),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} {value}: between {low:g} and {high:g}")


# Chosen by eye on data/samples. At a vividness of 0.9 and more some photographs get patches of
# strong colour, so no look goes there.
LOOKS = {
    "natural": Look(),
    "vivid": Look(vividness=0.85, saturation=1.2),
    "warm": Look(warmth=0.6, saturation=1.05),
    "cool": Look(warmth=-0.6),
    "faded-print": Look(vividness=0.4, warmth=0.6, saturation=0.5),
    "hand-tinted": Look(vividness=0.6, warmth=0.3, saturation=0.65),
}
NATURAL = LOOKS["natural"]


def choose_look(
    name: str = "natural",
    vividness: float | None = None,
    warmth: float | None = None,
    saturation: float | None = None,
) -> Look:
    """Return a look by its name, with those of its settings replaced that are given.

    Raises:
        ValueError: there is no such look, or a setting is out of its range.
    """
    if name not in LOOKS:
        raise ValueError(f"look {name}: one of {', '.join(LOOKS)}")
    given = {"vividness": vividness, "warmth": warmth, "saturation": saturation}
    return replace(LOOKS[name], **{key: value for key, value in given.items() if value is not None})


def apply_look(ab: Tensor, lightness: Tensor, look: Look) -> Tensor:
    """Return chroma with a look's saturation and warmth; its vividness is in ab already.

    Args:
        ab: (1, 2, h, w) in Lab units.
        lightness: the photograph's, (1, 1, h', w') in [0, 100], of any size.
        look: the settings.

    Returns:
        ab (1, 2, h, w) in Lab units. The warm shift is largest at middle lightness and falls to 0
        at black and at white, which stay neutral.
    """
    if look.saturation != 1:
        ab = ab * look.saturation
    if look.warmth:
        resized = F.interpolate(lightness, ab.shape[-2:], mode="bilinear", antialias=True)
        share = resized / MAX_LIGHTNESS
        shift = torch.tensor(WARM_SHIFT).view(1, 2, 1, 1)
        ab = ab + look.warmth * shift * 4 * share * (1 - share)
    return ab
