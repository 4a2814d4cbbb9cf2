"""A folder of photographs in colour without PyTorch: ONNX Runtime, NumPy and Pillow are enough."""

import argparse
import io
import math
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from onnxruntime import InferenceSession as Session
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

MODEL = Path(__file__).resolve().parents[2] / "checkpoints" / "colourizer.onnx"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}
ROWS = 256  # converted at a time, which bounds memory
# sRGB (IEC 61966-2-1), of all 8-bit values, and the other way of 65536 steps of linear light.
values = np.arange(256, dtype=np.float32) / 255
LINEAR = np.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)
steps = np.arange(65536) / 65535
SRGB = np.where(steps > 0.0031308, 1.055 * steps ** (1 / 2.4) - 0.055, steps * 12.92) * 255
SRGB = np.rint(SRGB).astype(np.uint8)
# Linear sRGB to CIE XYZ; in units of the white point, D65, grey has three equal ones.
XYZ = (0.412453, 0.35758, 0.180423, 0.212671, 0.71516, 0.072169, 0.019334, 0.119193, 0.950227)
TO_XYZ = np.reshape(XYZ, (3, 3)) / [[0.95047], [1], [1.08883]]
TO_RGB, LUMINANCE = np.linalg.inv(TO_XYZ).astype(np.float32), TO_XYZ[1].astype(np.float32)
# CIE's f of all greys: their lightness is 116 f - 16.
F = np.where(LINEAR > (6 / 29) ** 3, np.cbrt(LINEAR), LINEAR * (29 / 6) ** 2 / 3 + 4 / 29)


def encode(linear: np.ndarray) -> np.ndarray:
    """Return linear light in [0, 1] of any shape as sRGB, uint8."""
    return SRGB[np.rint(linear.clip(0, 1) * 65535).astype(np.uint16)]


def to_linear(f: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """Return linear sRGB (3, N), of colours outside sRGB beyond [0, 1], of f (N,) and ab (2, N)."""
    xyz = np.stack((f + ab[0] / 500, f, f - ab[1] / 200))
    xyz = np.where(xyz > 6 / 29, xyz**3, (xyz - 4 / 29) * 3 * (6 / 29) ** 2)
    return TO_RGB @ xyz


def to_rgb(grey: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """Return sRGB (H, W, 3) uint8 of greys (H, W) uint8 and ab (2, H, W); lightness is kept."""
    f, ab = F[grey].ravel(), ab.reshape(2, -1)
    linear = to_linear(f, ab)
    outside = np.flatnonzero(np.abs(linear - 0.5).max(axis=0) > 0.5001)
    low, high = np.zeros(len(outside), np.float32), np.ones(len(outside), np.float32)
    for _ in range(8):  # bisection: the largest share of chroma that sRGB has
        share = (low + high) / 2
        fits = np.abs(to_linear(f[outside], ab[:, outside] * share) - 0.5).max(axis=0) <= 0.5001
        low, high = np.where(fits, share, low), np.where(fits, high, share)
    linear[:, outside] = to_linear(f[outside], ab[:, outside] * low)
    return encode(linear).T.reshape(*grey.shape, 3)


def to_srgb(image: Image.Image) -> tuple[Image.Image, bytes | None]:
    """Return an image as L or RGB in sRGB, and the profile to write, if it had one."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    profile = image.info.get("icc_profile")
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode in ("1", "LA", "La") else "RGB")
    if profile:
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        with suppress(ImageCms.PyCMSError):  # a broken profile, or one of other pixels
            done = ImageCms.profileToProfile(image, io.BytesIO(profile), srgb, outputMode="RGB")
            return done or image, srgb.tobytes()
    return image.convert("RGB") if image.mode == "CMYK" else image, None


def to_grey(image: Image.Image) -> np.ndarray:
    """Return the greys (H, W) uint8 of the same lightness as an image in L or RGB."""
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        return pixels
    strips = (pixels[y : y + ROWS] for y in range(0, len(pixels), ROWS))
    return np.concatenate([encode(LINEAR[strip] @ LUMINANCE) for strip in strips])


def working_size(height: int, width: int, pixels: int, multiple: int) -> tuple[int, int]:
    """Return the (height, width) that the network gets."""
    aspect = min(4.0, max(0.25, height / width))
    rows = math.sqrt(pixels * aspect)
    return round(rows / multiple) * multiple, round(rows / aspect / multiple) * multiple


def colour(grey: np.ndarray, session: Session, vividness: float | None) -> Image.Image:
    """Return a photograph in colour, of greys (H, W) uint8."""
    facts = session.get_modelmeta().custom_metadata_map
    vividness = float(facts["default_vividness"]) if vividness is None else vividness
    height, width = grey.shape
    size = working_size(height, width, int(facts["working_pixels"]), int(facts["multiple"]))
    small = Image.fromarray(grey).resize(size[::-1], Image.Resampling.BILINEAR)
    feeds = {
        "grey": np.asarray(small)[None],
        "vividness": np.array(vividness, np.float32),
        "variant": np.array(0, np.int32),  # 1, 2, ...: other plausible colourings
    }
    (ab,) = session.run(["ab"], feeds)  # (1, 2, h/4, w/4)
    planes = [Image.fromarray(p).resize((width, height), Image.Resampling.BICUBIC) for p in ab[0]]
    full = np.stack([np.asarray(plane) for plane in planes])  # (2, H, W)
    strips = range(0, height, ROWS)
    rgb = [to_rgb(grey[y : y + ROWS], full[:, y : y + ROWS]) for y in strips]
    return Image.fromarray(np.concatenate(rgb))


def colour_file(source: Path, target: Path, session: Session, vividness: float | None) -> None:
    """Colour one file: upright, in its own size and format, with EXIF, XMP, profile and dpi."""
    with Image.open(source) as opened:
        file_format = opened.format
        image = ImageOps.exif_transpose(opened)
    srgb, profile = to_srgb(image)
    coloured = colour(to_grey(srgb), session, vividness)
    if "A" in image.getbands():
        coloured.putalpha(image.getchannel("A"))
    options: dict = {key: image.info[key] for key in ("xmp", "dpi") if key in image.info}
    if file_format == "PNG" and "xmp" in options:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", options["xmp"].decode())
    if file_format in ("JPEG", "WEBP"):
        options["quality"] = 95
    target.parent.mkdir(parents=True, exist_ok=True)
    coloured.save(target, file_format, exif=image.getexif(), icc_profile=profile, **options)


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("photos", type=Path)
    add("coloured", type=Path)
    add("--vividness", type=float, help="0 to 1 (default: that of colourize.py)")
    add("--model", type=Path, default=MODEL, help="what export_onnx.py wrote")
    args = parser.parse_args()
    session, failed = Session(args.model, providers=["CPUExecutionProvider"]), 0
    for source in sorted(p for p in args.photos.rglob("*") if p.suffix.lower() in SUFFIXES):
        target = args.coloured / source.relative_to(args.photos)
        try:
            colour_file(source, target, session, args.vividness)
            print(target, flush=True)
        except Exception as error:  # one bad file never stops a folder
            failed += 1
            print(f"error: {source}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
