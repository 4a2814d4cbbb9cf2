"""ONNX graphs: levels, network and readout in one; and the readout alone, for other settings."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colourizer.colour.space import MAX_LIGHTNESS, grey_to_lightness
from colourizer.inference.coherence import (
    affinity,
    average_alike,
    stride_8_vectors,
)
from colourizer.inference.mean_chroma import correct_mean_chroma
from colourizer.inference.prediction import has_likelihoods
from colourizer.inference.preprocess import BLACK, LEVELS_SHARE, MIN_RANGE, WHITE
from colourizer.inference.readout import confidence, read_ab, sqrt_softmax, vivid_weight
from colourizer.inference.things import thing_vectors
from colourizer.inference.variants import lean, thing_directions
from colourizer.network.checkpoint import Network
from Model_CNN import STRIDE, Model_CNN

# ONNX Runtime, its build for browsers and OpenVINO run it, and PyTorch exports to it directly.
OPSET = 18
INPUTS = ("grey", "vividness", "variant")
# Networks without likelihoods have the first only. The others are for who reads out other
# colours of the same picture without the network.
OUTPUTS = ("ab", "confidence", "sqrt_probability", "affinity", "features", "things", "lightness")
READOUT_INPUTS = ("sqrt_probability", "confidence", "lightness", "affinity", "things", *INPUTS[1:])
EXAMPLE_SIZE = (2 * STRIDE, 3 * STRIDE)  # pixels, of the picture that is traced
EXAMPLE_SETTINGS = (torch.tensor(0.5), torch.tensor(1, dtype=torch.int32))
SIDES = {  # as the file names the sides that may vary
    "grey": {1: "height", 2: "width"},
    "ab": {2: "height/4", 3: "width/4"},
    "confidence": {2: "height/4", 3: "width/4"},
    "lightness": {2: "height/4", 3: "width/4"},
    "sqrt_probability": {1: "height/4", 2: "width/4"},
    "affinity": {0: "height/8", 1: "width/8", 2: "height/16", 3: "width/16"},
    "features": {2: "height/8", 3: "width/8"},
    "things": {2: "height/8", 3: "width/8"},
}


class GreyToColours(nn.Module):
    """From 8-bit greys to colours, in operations that ONNX has; see `forward`."""

    lightness_of: Tensor
    between: Tensor

    def __init__(self, model: Network) -> None:
        """Take a network in eval mode."""
        super().__init__()
        self.model = model
        self.has_likelihoods = has_likelihoods(model)
        greys = torch.arange(256, dtype=torch.float64) / 255
        self.register_buffer("lightness_of", grey_to_lightness(greys).float())  # (256,)
        # (255,), the lightness halfway between neighbouring greys
        self.register_buffer("between", grey_to_lightness(greys[:-1] + 0.5 / 255).float())

    def forward(self, grey: Tensor, vividness: Tensor, variant: Tensor) -> tuple[Tensor, ...]:
        """Predict colours.

        Args:
            grey: (1, H, W) uint8; H and W are multiples of STRIDE.
            vividness: () float32 in [0, 1].
            variant: () int32, 0 and more.

        Returns:
            ab (1, 2, H/4, W/4) in Lab units; confidence (1, 1, H/4, W/4) in (0, 1];
            sqrt_probability (1, H/4, W/4, K) of `sqrt_softmax`; affinity (H/8, W/8, H/16, W/16),
            the features (1, C, H/8, W/8) of `stride_8_vectors` that it is made of; things, of
            `thing_vectors`, of the same shape; and the stretched lightness
            (1, 1, H/4, W/4). Without likelihoods ab alone, which is the same for
            all vividness and variants.
        """
        lightness = self.stretch_levels(grey).index_select(0, grey.flatten().int())
        output, features = self.model.forward_with_features(lightness.view(1, *grey.shape))
        if not self.has_likelihoods:
            return (self.model.ab_of(output),)
        assert isinstance(self.model, Model_CNN)
        probability = sqrt_softmax(output)
        sure = confidence(probability, self.model.bin_centres)
        vectors = stride_8_vectors(features)
        rows, columns = grey.shape[1] // 16, grey.shape[2] // 16
        alike = affinity(vectors).view(2 * rows, 2 * columns, rows, columns)
        things = thing_vectors(vectors)
        seen = F.avg_pool2d(lightness.view(1, *grey.shape), 4)
        ab = Readout(self.model)(probability, sure, seen, alike, things, vividness, variant)
        return ab, sure, probability, alike, vectors, things, seen

    def stretch_levels(self, grey: Tensor) -> Tensor:
        """Return the lightness (256,) of all greys as `network_input` makes it for a picture.

        Args:
            grey: (1, H, W) uint8.
        """
        levels = grey.flatten().float()
        last = grey.shape[1] * grey.shape[2] - 1
        left_out = (2 * last + (per := round(1 / LEVELS_SHARE))) // (2 * per)  # rounded
        ends = [levels.topk(left_out + 1, largest=largest).values[-1] for largest in (False, True)]
        black, white = self.lightness_of.index_select(0, torch.stack(ends).int()).unbind()
        new_black, new_white = black.clamp_max(BLACK), white.clamp_min(WHITE)
        stretched = (self.lightness_of - black) * ((new_white - new_black) / (white - black))
        stretched = (stretched + new_black).clamp(0.0, MAX_LIGHTNESS)
        is_kept = (white - black < MIN_RANGE) | ((black <= BLACK) & (white >= WHITE))
        stretched = torch.where(is_kept, self.lightness_of, stretched)
        nearest = (stretched[:, None] > self.between).sum(dim=1)
        return self.lightness_of.index_select(0, nearest)


class Readout(nn.Module):
    """From likelihoods to colours; see `forward`."""

    centres: Tensor
    shares: Tensor

    def __init__(self, model: Model_CNN) -> None:
        """Take a network's bins."""
        super().__init__()
        self.register_buffer("centres", model.bin_centres)  # (K, 2)
        self.register_buffer("shares", model.bin_shares)  # (K,)

    def forward(
        self,
        probability: Tensor,
        sure: Tensor,
        lightness: Tensor,
        alike: Tensor,
        things: Tensor,
        vividness: Tensor,
        variant: Tensor,
    ) -> Tensor:
        """Read out colours.

        Args:
            probability: sqrt_probability (1, H/4, W/4, K) of `GreyToColours`.
            sure: its confidence (1, 1, H/4, W/4).
            lightness: its lightness (1, 1, H/4, W/4).
            alike: its affinity (H/8, W/8, H/16, W/16).
            things: its things (1, C, H/8, W/8).
            vividness: () float32 in [0, 1].
            variant: () int32, 0 and more.

        Returns:
            ab (1, 2, H/4, W/4) in Lab units.
        """
        leaning = lean(probability, self.centres, thing_directions(things, variant))
        weight = vivid_weight(sure, lightness)
        ab = read_ab(leaning, self.centres, self.shares, vividness, weight)
        alike = alike.flatten(2).flatten(0, 1)
        return correct_mean_chroma(average_alike(ab, alike), lightness, vividness, alike)


def export_graph(model: Network) -> Any:
    """Return a network as an onnx.ModelProto, with weights in full precision.

    Args:
        model: in eval mode, as `build_model` returns it.

    Raises:
        ImportError: onnx or onnxscript is not installed.
    """
    height, width = torch.export.Dim("rows"), torch.export.Dim("columns")
    grey = torch.arange(EXAMPLE_SIZE[0] * EXAMPLE_SIZE[1]) % 256
    return _export(
        GreyToColours(model).eval(),
        (grey.byte().view(1, *EXAMPLE_SIZE), *EXAMPLE_SETTINGS),
        {"grey": {1: STRIDE * height, 2: STRIDE * width}, "vividness": {}, "variant": {}},
        OUTPUTS if has_likelihoods(model) else OUTPUTS[:1],
    )


def export_readout(model: Model_CNN) -> Any:
    """Return the readout of a network with likelihoods alone, as an onnx.ModelProto.

    Args:
        model: in eval mode, as `build_model` returns it.

    Raises:
        ImportError: onnx or onnxscript is not installed.
    """
    height, width = torch.export.Dim("rows"), torch.export.Dim("columns")
    rows, columns = EXAMPLE_SIZE[0] // 16, EXAMPLE_SIZE[1] // 16
    quarter = (4 * rows, 4 * columns)
    return _export(
        Readout(model).eval(),
        (
            torch.rand(1, *quarter, len(model.bin_centres)),
            torch.rand(1, 1, *quarter),
            torch.rand(1, 1, *quarter) * MAX_LIGHTNESS,
            torch.rand(2 * rows, 2 * columns, rows, columns),
            torch.rand(1, sum(model.config.decoder_channels[1:]), 2 * rows, 2 * columns),
            *EXAMPLE_SETTINGS,
        ),
        {
            "probability": {1: 4 * height, 2: 4 * width},
            "sure": {2: 4 * height, 3: 4 * width},
            "lightness": {2: 4 * height, 3: 4 * width},
            "alike": {0: 2 * height, 1: 2 * width, 2: height, 3: width},
            "things": {2: 2 * height, 3: 2 * width},
            "vividness": {},
            "variant": {},
        },
        OUTPUTS[:1],
        READOUT_INPUTS,
    )


def _export(
    module: nn.Module,
    arguments: tuple[Tensor, ...],
    dynamic_shapes: dict[str, dict[int, Any]],
    outputs: tuple[str, ...],
    inputs: tuple[str, ...] = INPUTS,
) -> Any:
    """Return a module as an onnx.ModelProto, traced with example arguments."""
    program = torch.onnx.export(
        module,
        arguments,
        dynamic_shapes=dynamic_shapes,
        input_names=inputs,
        output_names=outputs,
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    exported = program.model_proto
    _remove_notes(exported)
    for value in (*exported.graph.input, *exported.graph.output):
        for n, side in enumerate(value.type.tensor_type.shape.dim):
            if side.dim_param:
                side.dim_param = SIDES[value.name][n]
    return exported


def _remove_notes(exported: Any) -> None:
    """Remove the exporter's notes, which hold paths of this machine, and the shapes inside."""
    graph = exported.graph
    del graph.value_info[:], exported.metadata_props[:], graph.metadata_props[:]
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
