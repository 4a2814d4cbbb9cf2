"""TIFFs of every kind: what is read is what tifffile reads, or it is refused in words."""

import collections
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.tiff_kinds import Samples, Storage, shown, sweep, write

from colourizer.photos.errors import PhotoError
from colourizer.photos.read import read_photo, read_rgb

QUICK_STEP = 61  # every so many files are tried each time; a prime, so that all kinds take turns
# Levels of 255: rounding; CMYK is converted with 8 bits; JPEG rounds; and scikit-image's formula
# for Lab adapts D50 to D65 in another way.
ROUNDING, CMYK_ROUNDING, JPEG_ROUNDING, ADAPTATION = 0.51, 2, 4, 6
REASONS = (
    "big-endian", "signed samples", "negative values", "floating-point colours", "palette",
    "24 bits", "of a kind that is not supported",
)  # fmt: skip


def tolerance(samples: Samples, storage: Storage) -> float:
    if storage.compression == "jpeg":
        return JPEG_ROUNDING
    by_colours = {"separated": CMYK_ROUNDING, "cielab": ADAPTATION, "ycbcr": CMYK_ROUNDING}
    return by_colours.get(samples.photometric, ROUNDING)


def in_levels(values: np.ndarray) -> np.ndarray:
    """Return uint8 or uint16 as (H, W, 3) in levels of 255."""
    levels = values.astype(np.float64) * 255 / np.iinfo(values.dtype).max
    return levels if levels.ndim == 3 else np.stack([levels] * 3, axis=2)


def judge(path: Path, samples: Samples, storage: Storage) -> str:
    """Return "right", "refused", or what is wrong."""
    write(path, samples, storage)
    truth, alpha = shown(path, samples, storage)
    try:
        photo = read_photo(path)
    except PhotoError as error:
        words = str(error)
        with pytest.raises(PhotoError):
            read_rgb(path)
        return "refused" if any(reason in words for reason in REASONS) else f"refused: {words}"
    most = tolerance(samples, storage)
    found = in_levels(photo.pixels)
    if found.shape != truth.shape:
        return f"of another shape: {found.shape}"
    if (off := np.abs(found - truth * 255).max()) > most:
        return f"off by {off:.1f} levels"
    if (photo.alpha is None) != (alpha is None):
        return "has another alpha"
    if photo.alpha is not None and alpha is not None:
        if (off := np.abs(in_levels(photo.alpha)[..., 0] - alpha * 255).max()) > ROUNDING:
            return f"alpha is off by {off:.1f} levels"
        truth = truth * alpha[..., None] + 1 - alpha[..., None]  # over white
    if samples.bits > 8 and samples.photometric not in ("separated", "ycbcr"):
        if photo.pixels.dtype != np.uint16:
            return "of 8 bits only"
        if most == ROUNDING and np.abs(found - truth * 255).max() * 257 > 1 and alpha is None:
            return "rounded to 8 bits"
    small = np.asarray(read_rgb(path)).astype(np.float64)
    if (off := np.abs(small - truth * 255).max()) > most + 1:
        return f"for training, off by {off:.1f} levels"
    return "right"


def run(path: Path, step: int) -> collections.Counter[str]:
    verdicts: collections.Counter[str] = collections.Counter()
    wrong = []
    for n, (samples, storage) in enumerate(sweep()):
        if n % step:
            continue
        verdict = judge(path, samples, storage)
        verdicts[verdict] += 1
        if verdict not in ("right", "refused"):
            wrong.append(f"{verdict}: {samples} {storage}")
    assert not wrong, "\n".join([f"{len(wrong)} wrong", *wrong[:20]])
    return verdicts


def test_a_tiff_of_any_kind_is_read_right_or_refused_in_words(tmp_path):
    verdicts = run(tmp_path / "a.tif", QUICK_STEP)
    assert verdicts["right"] > 40
    assert verdicts["right"] > 2 * verdicts["refused"]


@pytest.mark.long
def test_thousands_of_tiffs_are_read_right_or_refused_in_words(tmp_path):
    verdicts = run(tmp_path / "a.tif", 1)
    assert verdicts.total() > 4000
    assert verdicts["right"] > 3200


def test_the_files_of_the_sweep_are_what_others_take_them_for(tmp_path):
    storage = Storage(compression="lzw", layout="tiles")
    write(tmp_path / "a.tif", Samples("rgb", 8), storage)
    with Image.open(tmp_path / "a.tif") as image:
        truth, _ = shown(tmp_path / "a.tif", Samples("rgb", 8), storage)
        assert np.array_equal(np.asarray(image), (truth * 255).round())


def test_a_tiff_of_complex_numbers_or_an_unknown_compression_is_refused_in_words(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8, 8), np.complex64))
    with pytest.raises(PhotoError, match="with complex numbers"):
        read_photo(path)
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8))
    entry = struct.Struct("<HHII")
    content = path.read_bytes().replace(entry.pack(259, 3, 1, 1), entry.pack(259, 3, 1, 34934))
    path.write_bytes(content)
    with pytest.raises(PhotoError, match="a compression of number 34934, which"):
        read_photo(path)
