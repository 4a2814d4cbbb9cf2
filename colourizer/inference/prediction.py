"""What a network said of a photograph -> colours, read out of it as often as they are wished."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from colourizer.colour.space import rgb_to_lab
from colourizer.inference.hints import Hint, HintError, follow_hints, follow_reference
from colourizer.inference.readout import confidence, root_likelihoods, vivid_ab
from colourizer.network.checkpoint import Network
from Model_CNN import Model_CNN

MOST_VARIANTS = 24  # that may be asked for


def knows_likelihoods(model: Network) -> bool:
    """Say whether a network can tell how sure it is, and has more than one answer."""
    return isinstance(model, Model_CNN) and model.config.likelihoods


@dataclass(frozen=True)
class Prediction:
    """What a network said of a photograph; it is kept, and the network need not look again.

    output: what the network returned, (1, K, h, w) or, of the original project's, (1, 3, h, w).
    description: (h, w, C), what its decoder saw (hints.py); None if nobody is to steer.
    """

    model: Network
    output: Tensor
    description: Tensor | None = None

    @cached_property
    def _roots(self) -> Tensor:
        """The likelihoods, as of ab_bins.root_likelihoods, of a network that knows them."""
        return root_likelihoods(self.output)

    @cached_property
    def _sure(self) -> Tensor:
        """The confidence, (1, 1, h, w), of a network that knows likelihoods."""
        assert isinstance(self.model, Model_CNN)
        return confidence(self._roots, self.model.bin_centres.to(self.output.device))

    @torch.inference_mode()
    def confidence(self) -> Tensor | None:
        """Say how sure the network is: (1, 1, h, w) in (0, 1], on the CPU; None if it cannot."""
        return self._sure.cpu() if knows_likelihoods(self.model) else None

    @torch.inference_mode()
    def ab(
        self,
        vividness: float,
        variant: int = 0,
        hints: Sequence[Hint] = (),
        size: tuple[int, int] = (1, 1),
        reference: "Reference | None" = None,
    ) -> Tensor:
        """Read colours.

        Args:
            vividness: from 0, the safe mean, to 1.
            variant: which of several plausible colourings; of a network of one answer all are that.
            hints: colours at places, which what belongs to them follows.
            size: (H, W) of the photograph that hints are about, pixels.
            reference: a photograph whose colours go where this one looks alike.

        Returns:
            ab (1, 2, h, w) in Lab units, on the CPU.

        Raises:
            HintError: a hint lies outside the photograph.
        """
        ab = self._plain(vividness, variant)
        if not hints and not reference:
            return ab
        assert self.description is not None, "needs what the decoder saw: see Colourizer.study"
        if reference:
            ab = follow_reference(
                self.description,
                ab,
                reference.description,
                reference.prediction._plain(vividness, variant),
                reference.true_ab,
            )
        if hints:
            ab = follow_hints(self.description, ab, [_place(Hint(*hint), size) for hint in hints])
        return ab

    def _plain(self, vividness: float, variant: int) -> Tensor:
        model, output = self.model, self.output
        if not isinstance(model, Model_CNN) or not model.config.likelihoods:
            return model.ab_of(output.float()).cpu()
        centres, shares = (part.to(output.device) for part in (model.bin_centres, model.bin_shares))
        return vivid_ab(self._roots, centres, shares, vividness, self._sure, variant).cpu()


@dataclass(frozen=True)
class Reference:
    """A photograph in colour whose colours go to others: what the network said, and the truth.

    description: (h, w, C), what its decoder saw.
    true_ab: (1, 2, h', w') in Lab units.
    """

    prediction: Prediction
    description: Tensor
    true_ab: Tensor


def _place(hint: Hint, size: tuple[int, int]) -> tuple[float, float, Tensor]:
    """Say where a hint is, as shares of the photograph's width and height, and its ab, (2,)."""
    height, width = size
    if not (0 <= hint.x < width and 0 <= hint.y < height):
        where = f"hint {hint.x},{hint.y}: outside the photograph"
        raise HintError(f"{where}, which has {width}x{height} pixels")
    rgb = torch.tensor(hint.rgb, dtype=torch.float32)[:, None, None] / 255
    return (hint.x + 0.5) / width, (hint.y + 0.5) / height, rgb_to_lab(rgb)[1:, 0, 0]
