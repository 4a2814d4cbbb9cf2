"""The network's output for a photograph, from which colours are read out in many ways."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock

import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.colour.space import rgb_to_lab
from colourizer.inference.coherence import (
    add_upsampled,
    affinity,
    average_alike,
    average_over_alike,
    halve,
    stride_8_vectors,
    upsample_by_2,
)
from colourizer.inference.hints import (
    FittedReference,
    Hint,
    HintError,
    fit_reference,
    propagate_hints,
    propagate_reference,
)
from colourizer.inference.looks import NATURAL, Look, apply_look
from colourizer.inference.mean_chroma import (
    correct_mean_chroma,
    is_light_and_faint,
    limit_cast,
    neutralize,
)
from colourizer.inference.readout import confidence, read_ab, sqrt_softmax, vivid_weight
from colourizer.inference.things import thing_vectors
from colourizer.inference.variants import MAX_VARIANTS, lean, thing_directions
from colourizer.network.checkpoint import Network
from Model_CNN import Model_CNN

EDGE = 3.0  # Lab units of detail of which half stays where colours are shared
NEEDS_FEATURES = "needs Colourizer.predict(..., with_features=True)"


def has_likelihoods(model: Network) -> bool:
    """Return whether a network predicts likelihoods, which vividness and variants need."""
    return isinstance(model, Model_CNN) and model.config.likelihoods


@dataclass(frozen=True)
class SharedLikelihoods:
    """The likelihoods of what a photograph shares with others of its album; on the CPU.

    log_likelihoods: (1, K, h, w) at stride 8, the mean over all that show the same.
    directions: (MAX_VARIANTS / 2, 2, h, w), the mean of their `Prediction.directions`.
    weight: (1, 1, h, w) in [0, 1]; 0 where nothing is shared.
    """

    log_likelihoods: Tensor
    directions: Tensor
    weight: Tensor


@dataclass(frozen=True)
class KnownColours:
    """The colours of what a photograph shares with a reference; on the CPU.

    ab: (1, 2, h, w) in Lab units, at stride 8.
    weight: (1, 1, h, w) in [0, 1]; 0 where nothing is shared.
    """

    ab: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Prediction:
    """A network's output for one photograph.

    output: logits (1, K, h, w), or of a ClassicCNN rgb (1, 3, h, w).
    vectors: (1, D, h/2, w/2), from `coherence.stride_8_vectors`; None without likelihoods.
    features: (h, w, C), from `hints.feature_vectors`, for hints and references; or None.
    lightness: the photograph's own, (1, 1, h, w) in [0, 100], for warmth; or None.
    stretched: as the network sees it, (1, 1, h, w) in [0, 100], for vividness; or None.
    shared: what other photographs of its album say; or None.
    known: what a reference of its album says; or None.
    """

    model: Network
    output: Tensor
    vectors: Tensor | None = None
    features: Tensor | None = None
    lightness: Tensor | None = None
    stretched: Tensor | None = None
    shared: SharedLikelihoods | None = None
    known: KnownColours | None = None

    @classmethod
    @torch.inference_mode()
    def of_plain_network(cls, model: Network, lightness: Tensor) -> "Prediction":
        """Return what a network predicts in full precision, without what makes it fast.

        Args:
            model: in eval mode, on the CPU.
            lightness: (1, 1, h, w) in [0, 100], from `preprocess.network_input`.
        """
        output, features = model.forward_with_features(lightness)
        vectors = stride_8_vectors(features) if has_likelihoods(model) else None
        return cls(model, output, vectors, stretched=F.avg_pool2d(lightness, 4))

    @cached_property
    def _sqrt_probability(self) -> Tensor:
        """`sqrt_softmax` of the output (1, h, w, K), for networks with likelihoods only."""
        return sqrt_softmax(self.output)

    @cached_property
    def _confidence(self) -> Tensor:
        """Confidence (1, 1, h, w) in (0, 1], for networks with likelihoods only."""
        assert isinstance(self.model, Model_CNN)
        return confidence(self._sqrt_probability, self.model.bin_centres.to(self.output.device))

    @cached_property
    def _affinity(self) -> Tensor:
        """`affinity` of the places (hw/4, hw/16), for networks with likelihoods only."""
        assert self.vectors is not None
        return affinity(self.vectors)

    @cached_property
    def _things(self) -> Tensor:
        """`thing_vectors` of the features (1, D, h/2, w/2), for networks with likelihoods only."""
        assert self.vectors is not None
        return thing_vectors(self.vectors)

    @torch.inference_mode()
    def confidence(self) -> Tensor | None:
        """Return the confidence (1, 1, h, w) in (0, 1], on the CPU; None without likelihoods."""
        return self._confidence.cpu() if has_likelihoods(self.model) else None

    @torch.inference_mode()
    def log_likelihoods(self) -> Tensor:
        """Return log-likelihoods at stride 8, (1, K, h, w), averaged over places that are alike.

        They are on the CPU; for networks with likelihoods only.
        """
        each = halve(self.output.float().log_softmax(dim=1))
        return average_over_alike(each, self._affinity).cpu()

    @torch.inference_mode()
    def directions(self) -> Tensor:
        """Return where odd variants lean: `thing_directions` (MAX_VARIANTS / 2, 2, h, w).

        They are on the CPU; for networks with likelihoods only.
        """
        return thing_directions(self._things, torch.arange(1, MAX_VARIANTS, 2)).cpu()

    @torch.inference_mode()
    def ab(
        self,
        look: Look = NATURAL,
        variant: int = 0,
        hints: Sequence[Hint] = (),
        size: tuple[int, int] = (1, 1),
        reference: "Reference | None" = None,
    ) -> Tensor:
        """Return the predicted chroma, steered by hints and a reference.

        A look changes a reference's colours as well; those of hints are exact.

        Args:
            look: vividness, warmth and saturation.
            variant: which of several plausible colourings; without likelihoods all are the same.
            hints: known colours of single points.
            size: (H, W) of the photograph that hints are about, in pixels.
            reference: a colour photograph; its colours are propagated to similar places.

        Returns:
            ab (1, 2, h, w) in Lab units, on the CPU.

        Raises:
            HintError: a hint lies outside the photograph.
        """
        return self.ab_and_match(look, variant, hints, size, reference)[0]

    @torch.inference_mode()
    def ab_and_match(
        self,
        look: Look = NATURAL,
        variant: int = 0,
        hints: Sequence[Hint] = (),
        size: tuple[int, int] = (1, 1),
        reference: "Reference | None" = None,
    ) -> tuple[Tensor, float | None]:
        """Return the chroma and how much of the photograph the reference matches; as `ab`.

        Returns:
            ab (1, 2, h, w) in Lab units, on the CPU; and a share in [0, 1], None without a
            reference. One of `hints.UNRELATED` or less changes nothing.

        Raises:
            HintError: a hint lies outside the photograph.
        """
        ab, match = self._unsteered_ab(look.vividness, variant), None
        if reference:
            assert self.features is not None, NEEDS_FEATURES
            fitted = reference.fit(look.vividness, variant)
            ab, match = propagate_reference(self.features, ab, fitted)
        if self.known:
            match = max(match or 0, self.known.weight.mean().item())
            ab = add_upsampled(ab, self.known.weight * (self.known.ab - halve(ab)))
        if look.warmth or look.saturation != 1:
            assert self.lightness is not None
            ab = apply_look(ab, self.lightness, look)
        if hints:
            assert self.features is not None, NEEDS_FEATURES
            points = [locate(Hint(*hint), size) for hint in hints]
            ab = propagate_hints(self.features, ab, points)
        return ab, match

    def _unsteered_ab(self, vividness: float, variant: int) -> Tensor:
        model, output = self.model, self.output
        if not isinstance(model, Model_CNN) or not model.config.likelihoods:
            return model.ab_of(output.float()).cpu()
        centres, shares = (part.to(output.device) for part in (model.bin_centres, model.bin_shares))
        assert self.stretched is not None
        lightness = self.stretched.to(output.device)
        probability = self._sqrt_probability
        weight = vivid_weight(self._confidence, lightness)
        if variant:
            directions = thing_directions(self._things, variant)
            probability = lean(probability, centres, directions)
        ab = read_ab(probability, centres, shares, vividness, weight)
        ab = average_alike(ab, self._affinity)
        ab = correct_mean_chroma(ab, lightness, vividness, self._affinity).cpu()
        return self._replace_shared(ab, vividness, variant) if self.shared else ab

    def _replace_shared(self, ab: Tensor, vividness: float, variant: int) -> Tensor:
        """Return ab with the colours of what is shared; what is like that in here follows."""
        assert isinstance(self.model, Model_CNN) and self.shared and self.stretched is not None
        centres, shares = self.model.bin_centres.cpu(), self.model.bin_shares.cpu()
        probability = sqrt_softmax(self.shared.log_likelihoods)
        lightness = halve(self.stretched.cpu())
        vivid = vivid_weight(confidence(probability, centres), lightness)
        if variant:
            odd = halve(self.shared.directions[(variant - 1) // 2][None])
            probability = lean(probability, centres, odd if variant % 2 else -odd)
        weight, own = self.shared.weight, halve(ab)
        agreed = limit_cast(read_ab(probability, centres, shares, vividness, vivid), weight)
        agreed = neutralize(agreed, is_light_and_faint(agreed, lightness), vividness, weight)
        change = weight * (agreed - own)
        follows = average_over_alike(change, self._affinity.cpu())
        # Detail finer than stride 8 is each photograph's own: of what is shared edges keep theirs.
        detail = add_upsampled(ab, -own)
        edge = detail.norm(dim=1, keepdim=True) / EDGE
        detail -= detail * upsample_by_2(weight) / (1 + edge.square())
        return add_upsampled(detail, own + change + (1 - weight) * follows)


@dataclass(frozen=True, eq=False)
class Reference:
    """A colour photograph whose colours are propagated to others; threads may share it.

    prediction: of the network for it, with features.
    true_ab: its own colours, (1, 2, h', w') in Lab units.
    sha256: of its file, or of its pixels; hexadecimal.
    """

    prediction: Prediction
    true_ab: Tensor
    sha256: str = ""
    _fitted: dict[tuple[float, int], FittedReference] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def fit(self, vividness: float, variant: int) -> FittedReference:
        """Return what it says about chroma, once for all photographs of a look and a variant."""
        key = vividness, variant
        with self._lock:
            if key not in self._fitted:
                if len(self._fitted) >= MAX_VARIANTS:  # the page asks for any vividness
                    self._fitted.clear()
                features, ab = self.prediction.features, self.prediction._unsteered_ab(*key)
                assert features is not None, NEEDS_FEATURES
                self._fitted[key] = fit_reference(features, ab, self.true_ab)
            return self._fitted[key]


def locate(hint: Hint, size: tuple[int, int]) -> tuple[float, float, Tensor]:
    """Return a hint's x and y as shares of the photograph's width and height, and its ab (2,).

    Args:
        hint: a known colour of a point.
        size: (H, W) of the photograph in pixels.

    Raises:
        HintError: the hint lies outside the photograph.
    """
    height, width = size
    if not (0 <= hint.x < width and 0 <= hint.y < height):
        where = f"hint {hint.x},{hint.y}: outside the photograph"
        raise HintError(f"{where}, which has {width}x{height} pixels")
    rgb = torch.tensor(hint.rgb, dtype=torch.float32)[:, None, None] / 255
    return (hint.x + 0.5) / width, (hint.y + 0.5) / height, rgb_to_lab(rgb)[1:, 0, 0]
