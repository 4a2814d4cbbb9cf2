"""TIFFs of every kind, and the upright picture that each one shows by tifffile's reading."""

import io
import lzma
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, product
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from skimage.color import lab2rgb

HEIGHT, WIDTH = 23, 37
COLOURS = {
    "minisblack": 1, "miniswhite": 1, "palette": 1, "rgb": 3, "separated": 4, "ycbcr": 3,
    "cielab": 3,
}  # fmt: skip
PHOTOMETRIC = {
    "miniswhite": 0, "minisblack": 1, "rgb": 2, "palette": 3, "separated": 5, "ycbcr": 6,
    "cielab": 8,
}  # fmt: skip
EXTRAS = {"unspecified": 0, "assocalpha": 1, "unassalpha": 2}
SHORT, LONG = 3, 4
FORMATS = {SHORT: "H", LONG: "I", 16: "Q"}
TILE = (16, 16)
CODES = {
    "none": 1, "lzw": 5, "jpeg": 7, "deflate": 8, "old deflate": 32946, "packbits": 32773,
    "lzma": 34925, "webp": 50001,
}  # fmt: skip
# What undoes each orientation, of an array.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@dataclass(frozen=True)
class Samples:
    """What the samples of a pixel are.

    photometric: one of COLOURS.
    bits: of each sample.
    kind: "u" unsigned, "i" signed, "f" floating point.
    extras: tifffile's names of the samples after the colours.
    """

    photometric: str
    bits: int
    kind: str = "u"
    extras: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return COLOURS[self.photometric] + len(self.extras)

    @property
    def dtype(self) -> np.dtype:
        sizes = [size for size in (8, 16, 32, 64) if size >= self.bits]
        return np.dtype(f"{self.kind}{sizes[0] // 8}")


@dataclass(frozen=True)
class Storage:
    """How they are stored.

    layout: "strip", "strips" or "tiles".
    half_chroma: YCbCr with a quarter of the chroma.
    reversed_bits: the first pixel in a byte's lowest bit.
    """

    compression: str = "none"
    predictor: bool = False
    layout: str = "strip"
    planes: bool = False
    order: str = "<"
    big: bool = False
    orientation: int = 1
    half_chroma: bool = False
    reversed_bits: bool = False


SAMPLES = [
    *(Samples(grey, bits) for grey in ("minisblack", "miniswhite") for bits in (1, 2, 4, 8, 12)),
    *(Samples(grey, bits) for grey in ("minisblack", "miniswhite") for bits in (10, 14, 16, 32)),
    *(Samples("minisblack", bits, "i") for bits in (8, 16, 32)),
    *(Samples("minisblack", bits, "f") for bits in (16, 32, 64)),
    Samples("miniswhite", 32, "f"),
    *(Samples("palette", bits) for bits in (1, 2, 4, 8)),
    *(Samples("rgb", bits) for bits in (4, 8, 10, 12, 16, 24, 32)),
    *(Samples("rgb", bits, "i") for bits in (8, 16)),
    *(Samples("rgb", bits, "f") for bits in (16, 32)),
    *(Samples("separated", bits) for bits in (8, 16)),
    *(Samples("ycbcr", bits) for bits in (8, 16)),
    *(Samples("cielab", bits) for bits in (8, 16)),
    *(
        Samples(photometric, bits, "u", extras)
        for photometric in ("minisblack", "miniswhite", "rgb", "separated", "palette")
        for bits in (8, 16)
        for extras in (
            ("unspecified",), ("assocalpha",), ("unassalpha",), ("unspecified", "unspecified"),
            ("unassalpha", "unspecified"),
        )
        if not (photometric == "palette" and bits == 16)
    ),
]  # fmt: skip


def all_storages() -> Iterator[Storage]:
    """Yield every way to store the same samples, but for order, size and orientation."""
    for compression, predictor, layout, planes in product(
        ("none", "lzw", "deflate", "packbits"), (False, True), ("strip", "strips", "tiles"),
        (False, True),
    ):  # fmt: skip
        if not predictor or compression in ("lzw", "deflate"):
            yield Storage(compression, predictor, layout, planes)


def sweep() -> Iterator[tuple[Samples, Storage]]:
    """Yield samples of every kind in every storage; orders, sizes and orientations take turns."""
    turns = cycle(product("<>", (False, True), range(1, 9)))
    for samples in SAMPLES:
        for storage in all_storages():
            if storage.predictor and samples.bits not in (8, 16, 32, 64):
                continue
            order, big, orientation = next(turns)
            yield samples, replace(storage, order=order, big=big, orientation=orientation)
        for order, orientation in product("<>", range(1, 9)):  # Pillow maps such files
            yield samples, Storage(order=order, orientation=orientation)
    for photometric, layout, order, orientation in product(
        ("minisblack", "rgb", "ycbcr"), ("strip", "strips", "tiles"), "<>", range(1, 9)
    ):
        storage = Storage("jpeg", layout=layout, order=order, orientation=orientation)
        yield Samples(photometric, 8), storage
    for extras, layout, order, orientation in product(
        ((), ("unassalpha",)), ("strip", "strips", "tiles"), "<>", range(1, 9)
    ):
        storage = Storage("webp", layout=layout, order=order, orientation=orientation)
        yield Samples("rgb", 8, "u", extras), storage
    for compression, layout, order, half_chroma in product(
        ("none", "lzw", "deflate"), ("strip", "strips", "tiles"), "<>", (False, True)
    ):
        storage = Storage(compression, layout=layout, order=order, half_chroma=half_chroma)
        yield Samples("ycbcr", 8), storage
    for samples, compression, reversed_bits in product(
        SAMPLES, ("none", "old deflate", "lzma"), (False, True)
    ):
        storage = Storage(compression, layout="tiles", reversed_bits=reversed_bits)
        yield samples, storage


def pattern(samples: Samples) -> np.ndarray:
    """Return (H, W, samples) of all of the range, that tells turns, channels and shifts apart."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    ramp = (x / (WIDTH - 1) * 3 + y / (HEIGHT - 1)) / 4
    values = np.stack([np.roll(ramp, 5 * n, axis=1) for n in range(samples.count)], axis=2)
    values[2:6, 3:20] = 1
    values[2:6, 24:30, 0] = 0
    for n, extra in enumerate(samples.extras, COLOURS[samples.photometric]):
        if extra == "assocalpha":
            values[..., n] = values[..., n] / 2 + 0.5
            values[..., :n] *= values[..., n : n + 1]
    if samples.photometric == "cielab":  # not too colourful for sRGB
        values[..., 0] = 0.3 + 0.5 * values[..., 0]
        values[..., 1:] = 0.15 * values[..., 1:]
    if samples.photometric == "ycbcr":  # what half the chroma can tell
        values[..., 1:] = 0.3 + values[..., 1:] / 3
        blocks = values[: HEIGHT // 2 * 2, : WIDTH // 2 * 2, 1:]
        blocks[...] = blocks[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)
        values[-1, :, 1:], values[:, -1, 1:] = values[-2, :, 1:], values[:, -2, 1:]
        values[..., 0] = 0.2 + 0.6 * values[..., 0]
    if samples.kind == "f":
        return values.astype(samples.dtype)
    top = 2**samples.bits - 1
    whole = (values * top).round()
    return (whole - (samples.kind == "i") * (top // 2 + 1)).astype(samples.dtype)


def write(path: Path, samples: Samples, storage: Storage) -> None:
    """Write the pattern as a TIFF."""
    rows = HEIGHT if storage.layout == "strip" else 8 if storage.half_chroma else 7
    tile = TILE if storage.layout == "tiles" else None
    pieces = [_encode(p, samples, storage) for p in _cut(pattern(samples), storage, tile, rows)]
    count = samples.count
    tags = {
        256: (LONG, [WIDTH]),
        257: (LONG, [HEIGHT]),
        258: (SHORT, [samples.bits] * count),
        259: (SHORT, [CODES[storage.compression]]),
        262: (SHORT, [PHOTOMETRIC[samples.photometric]]),
        274: (SHORT, [storage.orientation]),
        277: (SHORT, [count]),
        284: (SHORT, [2 if storage.planes else 1]),
        339: (SHORT, [{"u": 1, "i": 2, "f": 3}[samples.kind]] * count),
    }
    if tile:
        tags |= {322: (SHORT, [tile[1]]), 323: (SHORT, [tile[0]])}
    else:
        tags[278] = (SHORT, [rows])
    if storage.predictor:
        tags[317] = (SHORT, [3 if samples.kind == "f" else 2])
    if storage.reversed_bits:
        tags[266] = (SHORT, [2])
    if samples.photometric == "palette":
        tags[320] = (SHORT, palette(samples.bits).ravel().tolist())
    if samples.photometric == "ycbcr":
        tags[530] = (SHORT, [2, 2] if storage.half_chroma else [1, 1])
        tags[531] = (SHORT, [2 if storage.half_chroma else 1])  # chroma lies where luma does
    if samples.extras:
        tags[338] = (SHORT, [EXTRAS[extra] for extra in samples.extras])
    places = (324, 325) if tile else (273, 279)
    path.write_bytes(assemble([(tags, pieces, places)], storage.order, storage.big))


def assemble(
    directories: list[tuple[dict[int, tuple[int, list[int]]], list[bytes], tuple[int, int]]],
    order: str = "<",
    big: bool = False,
) -> bytes:
    """Return a TIFF of directories that follow each other.

    Args:
        directories: of each its tags, as type and values; its strips or tiles; and the tags that
            hold their offsets and sizes.
        order: byte order, "<" or ">".
        big: write a BigTIFF.
    """
    word, head, kind = ("Q", "Q", 16) if big else ("I", "H", LONG)
    size = struct.calcsize(word)
    start = struct.pack(order + "2sH", b"II" if order == "<" else b"MM", 43 if big else 42)
    start += struct.pack(order + "HH", 8, 0) if big else b""
    body = bytearray(start + bytes(size))
    link = len(body) - size  # where the offset of the next directory goes
    for tags, pieces, places in directories:
        offsets = []
        for piece in pieces:
            offsets.append(len(body))
            body += piece + b"\0" * (len(piece) % 2)
        fields = {**tags, places[0]: (kind, offsets), places[1]: (kind, [len(p) for p in pieces])}
        table = b""
        for tag, (code, values) in sorted(fields.items()):
            content = struct.pack(f"{order}{len(values)}{FORMATS[code]}", *values)
            if len(content) > size:
                place = len(body)
                body += content + b"\0" * (len(content) % 2)
                content = struct.pack(order + word, place)
            table += struct.pack(f"{order}HH{word}", tag, code, len(values))
            table += content.ljust(size, b"\0")
        struct.pack_into(order + word, body, link, len(body))
        body += struct.pack(order + head, len(fields)) + table + bytes(size)
        link = len(body) - size
    return bytes(body)


def _cut(
    values: np.ndarray, storage: Storage, tile: tuple[int, int] | None, rows: int
) -> Iterator[np.ndarray]:
    planes = [values]
    if storage.planes:
        planes = [values[..., n : n + 1] for n in range(values.shape[2])]
    for plane in planes:
        if tile is None:
            yield from (plane[y : y + rows] for y in range(0, HEIGHT, rows))
            continue
        for y, x in product(range(0, HEIGHT, tile[0]), range(0, WIDTH, tile[1])):
            piece = plane[y : y + tile[0], x : x + tile[1]]
            missing = (tile[0] - piece.shape[0], tile[1] - piece.shape[1])
            yield np.pad(piece, ((0, missing[0]), (0, missing[1]), (0, 0)))


def _encode(piece: np.ndarray, samples: Samples, storage: Storage) -> bytes:
    if storage.compression == "webp":
        file = io.BytesIO()
        Image.fromarray(piece).save(file, "WEBP", lossless=True, exact=True)
        return file.getvalue()
    if storage.compression == "jpeg":
        file = io.BytesIO()
        image = Image.fromarray(piece.squeeze())
        if samples.photometric == "ycbcr":
            image = Image.frombytes("YCbCr", image.size, piece.tobytes())
        keep_rgb = samples.photometric == "rgb"
        image.save(file, "JPEG", quality=100, subsampling="4:4:4", keep_rgb=keep_rgb)
        return file.getvalue()
    if storage.predictor and samples.kind == "f":
        content = _differ_as_bytes(piece)
    else:
        if storage.predictor:
            piece = np.concatenate((piece[:, :1], np.diff(piece, axis=1)), axis=1)
        content = (
            _join_chroma(piece)
            if storage.half_chroma
            else _pack(piece, samples.bits, storage.order)
        )
    row_bytes = len(content) // len(piece)
    packed = {
        "none": lambda: content,
        "deflate": lambda: zlib.compress(content),
        "old deflate": lambda: zlib.compress(content),
        "lzma": lambda: lzma.compress(content),
        "lzw": lambda: lzw(content),
        "packbits": lambda: b"".join(
            packbits(content[at : at + row_bytes]) for at in range(0, len(content), row_bytes)
        ),
    }[storage.compression]()
    if storage.reversed_bits:
        bits = np.unpackbits(np.frombuffer(packed, np.uint8)[:, None], axis=1)
        return np.packbits(bits[:, ::-1], axis=1).tobytes()
    return packed


def _join_chroma(piece: np.ndarray) -> bytes:
    """Return YCbCr (h, w, 3) as units of four luma values and one of Cb and of Cr."""
    height, width = piece.shape[:2]
    padded = np.pad(piece, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    luma = padded[..., 0].reshape(len(padded) // 2, 2, -1, 2).swapaxes(1, 2)
    units = np.concatenate((luma.reshape(*luma.shape[:2], 4), padded[::2, ::2, 1:]), axis=2)
    return units.astype(np.uint8).tobytes()


def _differ_as_bytes(piece: np.ndarray) -> bytes:
    """Return floating-point values with predictor 3: differences of bytes, high ones first."""
    height, _, samples = piece.shape
    high_first = (
        piece.astype(f">f{piece.itemsize}").view(np.uint8).reshape(height, -1, piece.itemsize)
    )
    planes = high_first.swapaxes(1, 2).reshape(height, -1, samples)
    return np.concatenate((planes[:, :1], np.diff(planes, axis=1)), axis=1).tobytes()


def _pack(piece: np.ndarray, bits: int, order: str) -> bytes:
    if bits % 8 == 0:
        stored = piece.astype(f"{order}{piece.dtype.str[1:]}")
        if bits == 24:
            stored = stored.view(np.uint8).reshape(*piece.shape, 4)
            stored = stored[..., :3] if order == "<" else stored[..., 1:]
        return stored.tobytes()
    rows = piece.reshape(len(piece), -1).astype(np.uint16)  # most significant bit first
    places = np.arange(bits - 1, -1, -1, dtype=np.uint16)
    each = (rows[..., None] >> places & 1).astype(np.uint8)
    return np.packbits(each.reshape(len(piece), -1), axis=1).tobytes()


def lzw(content: bytes) -> bytes:
    """Compress, so to speak: codes of 9 bits for single bytes, begun anew before they grow."""
    codes = []
    for start in range(0, len(content), 250):
        codes += [256, *content[start : start + 250]]
    numbers = np.array([*codes, 257], dtype=np.uint16)
    each = (numbers[:, None] >> np.arange(8, -1, -1, dtype=np.uint16) & 1).astype(np.uint8)
    return np.packbits(each).tobytes()


def packbits(row: bytes) -> bytes:
    """Compress a row to literal runs, but for a repeated byte at its beginning."""
    repeated = min(len(row) - len(row.lstrip(row[:1])), 128)
    packed = bytes((257 - repeated, row[0])) if repeated > 1 else b""
    rest = row[repeated:] if repeated > 1 else row
    for start in range(0, len(rest), 128):
        literal = rest[start : start + 128]
        packed += bytes((len(literal) - 1,)) + literal
    return packed


def palette(bits: int) -> np.ndarray:
    """Return (3, 2**bits) uint16, colours that tell the entries apart."""
    steps = np.linspace(0, 65535, 2**bits)
    return np.stack((steps, steps[::-1], np.roll(steps, 1))).round().astype(np.uint16)


def shown(path: Path, samples: Samples, storage: Storage) -> tuple[np.ndarray, np.ndarray | None]:
    """Return what a TIFF shows by tifffile's reading.

    Returns:
        rgb (H, W, 3) and alpha (H, W), in [0, 1], upright.
    """
    try:
        if storage.compression == "jpeg":  # with imagecodecs tifffile returns YCbCr as RGB
            raise NotImplementedError
        values = tifffile.imread(path)
        if storage.planes and samples.count > 1:
            values = np.moveaxis(values, 0, -1)
        values = values.reshape(HEIGHT, WIDTH, samples.count).astype(samples.dtype)
    except (ValueError, NotImplementedError, KeyError, AttributeError):
        values = pattern(samples)  # without imagecodecs it lacks LZW, JPEG and some depths
    rgb, alpha = convert(values, samples)
    turn = UPRIGHT[storage.orientation]
    return turn(rgb), None if alpha is None else turn(alpha)


def convert(values: np.ndarray, samples: Samples) -> tuple[np.ndarray, np.ndarray | None]:
    """Return rgb (H, W, 3) and alpha (H, W) or None, in [0, 1], of samples (H, W, S)."""
    colours = COLOURS[samples.photometric]
    if samples.photometric == "palette":
        rgb = palette(samples.bits)[:, values[..., 0]].transpose(1, 2, 0) / 65535
        scaled = values / 255
    else:
        low = -(2 ** (samples.bits - 1)) if samples.kind == "i" else 0
        top = 1 if samples.kind == "f" else 2**samples.bits - 1
        scaled = (values.astype(np.float64) - low) / top
        rgb = scaled[..., :colours]
    alpha = None
    if samples.extras and samples.extras[0] != "unspecified":
        alpha = scaled[..., colours]
        if samples.extras[0] == "assocalpha":
            rgb = (rgb / np.maximum(alpha, 1e-9)[..., None]).clip(0, 1)
    if samples.photometric == "miniswhite":
        rgb = 1 - rgb
    if samples.photometric == "separated":
        rgb = (1 - rgb[..., :3]) * (1 - rgb[..., 3:])
    if samples.photometric == "ycbcr":
        y, cb, cr = np.moveaxis(rgb, -1, 0)
        cb, cr = cb - 128 / 255, cr - 128 / 255
        rgb = np.stack((y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb), axis=2)
    if samples.photometric == "cielab":
        signed = values.astype(f"i{samples.bits // 8}").astype(np.float64)
        a, b = (signed[..., n] / (1 if samples.bits == 8 else 256) for n in (1, 2))
        rgb = lab2rgb(np.stack((scaled[..., 0] * 100, a, b), axis=2), illuminant="D65")
    return np.broadcast_to(rgb, (HEIGHT, WIDTH, 3)).clip(0, 1), alpha
