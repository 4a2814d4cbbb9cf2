"""The samples of a TIFF's pixels, of any depth and arrangement -> pixels and alpha."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, TiffImagePlugin

from colourizer.photos.errors import PhotoError
from colourizer.photos.exif import LONG, SHORT, Directory, read_exactly, tiff_header
from colourizer.photos.icc import cmyk_to_srgb, grey_to_srgb, lab_to_srgb
from colourizer.photos.pixels import find_white, to_8_bits

# Numbers of TIFF 6.0 and of its supplements.
RAW, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, LZMA, ZSTD = 1, 5, 8, 32946, 32773, 34925, 50000
WEBP = 50001
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, LAB: 3}
COMPRESSIONS = {RAW, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, LZMA, ZSTD, WEBP}
PREMULTIPLIED, ALPHA = 1, 2  # what an extra sample is
DIFFERENCES, FLOAT_DIFFERENCES = 2, 3  # predictors
KINDS = {1: "u", 2: "i", 3: "f", 4: "u", 5: "c", 6: "c"}  # of sample formats
MAX_SAMPLES, MAX_TILE = 32, 1 << 16  # of a pixel; columns beyond the picture
BAND_BYTES = 1 << 24  # decoded at a time
WHOLE_DEPTHS = (8, 16, 32, 64)
REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1], 1)


@dataclass(frozen=True)
class Layout:
    """How a TIFF stores one picture.

    order: byte order.
    size: (H, W), as stored.
    samples, bits: how many a pixel has; bits of each.
    kind: of samples, "u" unsigned, "i" signed, "f" floating point, "c" complex.
    photometric: one of COLOURS.
    extras: what the samples after the colours are.
    planes: whether each sample has a plane of its own.
    compression, predictor: numbers of TIFF.
    reversed_bits: whether the first pixel lies in a byte's lowest bit.
    piece: (rows, columns) of a tile or a strip.
    offsets, sizes: of the tiles or strips, in bytes.
    colour_map: (3, entries) uint16; empty without a palette.
    """

    order: Literal["<", ">"]
    size: tuple[int, int]
    samples: int
    bits: int
    kind: str
    photometric: int
    extras: tuple[int, ...]
    planes: bool
    compression: int
    predictor: int
    reversed_bits: bool
    piece: tuple[int, int]
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    colour_map: np.ndarray

    @property
    def alpha(self) -> int | None:
        """Which sample is alpha; None if there is none."""
        kinds = [n for n, kind in enumerate(self.extras) if kind in (PREMULTIPLIED, ALPHA)]
        return COLOURS[self.photometric] + kinds[0] if kinds else None


def read_layout(directory: Directory) -> Layout:
    """Return how a directory says that its picture is stored.

    Raises:
        PhotoError: it does not say, or is of a kind that is not read.
    """

    def number(tag: int, default: int = 0) -> int:
        return (directory.numbers(tag) or (default,))[0]

    size = number(257), number(256)
    samples, photometric = number(277, 1), number(262)
    depths, kinds = set(directory.numbers(258) or (1,)), set(directory.numbers(339) or (1,))
    tiled = bool(directory.numbers(324))
    rows = number(323) if tiled else min(number(278, size[0]), size[0])
    piece = rows, number(322) if tiled else size[1]
    if not (all(size) and all(piece)):
        raise PhotoError("is a TIFF without a size")
    if samples > MAX_SAMPLES or piece[1] > size[1] + MAX_TILE:
        raise PhotoError("is a TIFF whose rows are longer than is safe to decode")
    if photometric not in COLOURS or len(depths) > 1 or len(kinds) > 1:
        raise PhotoError("is a TIFF with colours of a kind that is not supported")
    colours = COLOURS[photometric]
    extras = directory.numbers(338)
    if samples == 4 and photometric == RGB and not extras:
        extras = (ALPHA,)  # some programs forget to say so
    if len(extras) != samples - colours:
        raise PhotoError("is a TIFF that does not say what its samples are")
    layout = Layout(
        order="<" if directory.order == "<" else ">",
        size=size,
        samples=samples,
        bits=depths.pop(),
        kind=KINDS.get(kinds.pop(), "u"),
        photometric=photometric,
        extras=extras,
        planes=number(284, 1) == 2 and samples > 1,
        compression=number(259, 1),
        predictor=number(317, 1),
        reversed_bits=number(266, 1) == 2,
        piece=piece,
        offsets=directory.numbers(324 if tiled else 273),
        sizes=directory.numbers(325 if tiled else 279),
        colour_map=np.array(directory.numbers(320), dtype=np.uint16).reshape(3, -1),
    )
    if reason := _reason_to_refuse(layout):
        raise PhotoError(f"is a TIFF {reason}, which is not supported")
    return layout


def _reason_to_refuse(layout: Layout) -> str:
    """Return what is wrong with a layout, in words; "" if it is read."""
    bits, kind = layout.bits, layout.kind
    if kind == "c":
        return "with complex numbers"
    if layout.compression == WEBP and (bits != 8 or layout.planes or layout.samples not in (3, 4)):
        return "with WebP of something else than RGB"
    if kind == "f" and (COLOURS[layout.photometric] > 1 or layout.samples > 1):
        return "with floating-point colours"
    if kind == "i" and (bits != 32 or layout.samples > 1):
        return "with signed samples"
    if bits not in (16, 32, 64) if kind == "f" else bits != 32 and not 1 <= bits <= 16:
        return f"with {bits} bits"
    whole = bits in WHOLE_DEPTHS
    if layout.predictor > 1 and not (whole and layout.predictor <= FLOAT_DIFFERENCES):
        return f"with differences of {bits} bits"
    if layout.predictor == FLOAT_DIFFERENCES and kind != "f":
        return "with differences of another type than its samples"
    if layout.photometric == PALETTE and (bits > 8 or PREMULTIPLIED in layout.extras):
        return f"with a palette of {bits} bits"
    if layout.photometric == PALETTE and layout.colour_map.shape[1] < 2**bits:
        return "with a palette that is too short"
    if layout.photometric == LAB and bits not in (8, 16):
        return f"with Lab of {bits} bits"
    rows, columns = layout.piece
    pieces = -(-layout.size[0] // rows) * -(-layout.size[1] // columns)
    if len(layout.offsets) != pieces * (layout.samples if layout.planes else 1):
        return "whose strips or tiles do not fit its size"
    return ""


def decode_tiff(
    file: BinaryIO, layout: Layout, profile: bytes
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a TIFF's pixels and alpha, as stored, not turned.

    Args:
        file: a TIFF.
        layout: of one of its pictures.
        profile: the colour profile; empty for none.

    Returns:
        pixels (H, W) grey or (H, W, 3) sRGB, uint8 or uint16; alpha (H, W), or None.

    Raises:
        PhotoError: it says not which of its values is white.
        ValueError: it is damaged; OSError and zlib.error mean the same.
    """
    colours = COLOURS[layout.photometric]
    values = _scale(_decode_samples(file, layout), layout)
    alpha = values[..., -1] if layout.alpha is not None else None
    values = values[..., :colours]
    if layout.alpha is not None and layout.extras[layout.alpha - colours] == PREMULTIPLIED:
        values = _divide_by_alpha(values, alpha)
    if layout.photometric == PALETTE:
        return _look_up(values[..., 0], layout.colour_map), alpha
    if layout.photometric == CMYK:
        inks = Image.fromarray(np.ascontiguousarray(to_8_bits(values)), "CMYK")
        return np.asarray(cmyk_to_srgb(inks, profile)), alpha
    if layout.photometric == LAB:
        return _convert_lab(values), alpha
    if colours == 3:
        return np.ascontiguousarray(values), alpha
    grey = values[..., 0]
    if layout.photometric == WHITE_IS_ZERO:
        grey = np.iinfo(grey.dtype).max - grey
    return grey_to_srgb(grey, profile), alpha


def _decode_samples(file: BinaryIO, layout: Layout) -> np.ndarray:
    """Return the samples (H, W, S): the colours, and alpha if there is one."""
    wanted = list(range(COLOURS[layout.photometric]))
    wanted += [] if layout.alpha is None else [layout.alpha]
    whole = next(depth for depth in WHOLE_DEPTHS if depth >= layout.bits)
    values = np.empty((*layout.size, len(wanted)), dtype=f"{layout.kind}{whole // 8}")
    rows, columns = layout.piece
    across = -(-layout.size[1] // columns)
    per_plane = -(-layout.size[0] // rows) * across
    planes = [[n] for n in wanted] if layout.planes else [wanted]
    for target, plane in enumerate(planes):
        first = plane[0] * per_plane if layout.planes else 0
        to = [target] if layout.planes else list(range(len(wanted)))
        source = [0] if layout.planes else wanted
        for n, y, band in _decode_pieces(file, layout, range(first, first + per_plane)):
            row, column = divmod(n - first, across)
            y, x = row * rows + y, column * columns
            part = values[y : y + len(band), x : x + columns]
            part[..., to] = band[: len(part), : part.shape[1], source]
    return values


def _decode_pieces(
    file: BinaryIO, layout: Layout, numbers: range
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield bands of tiles or strips: number, first row within it, (h, columns, samples)."""
    rows, columns = layout.piece
    samples = 1 if layout.planes else layout.samples
    row_bytes = -(-columns * samples * layout.bits // 8)
    across = -(-layout.size[1] // columns)
    for n in numbers:
        y = (n - numbers[0]) // across * rows
        height = min(rows, layout.size[0] - y)  # a tile has all its rows, but these are enough
        at = 0
        for content in _decompress(file, layout, n, height, row_bytes):
            band = np.frombuffer(content, dtype=np.uint8).reshape(-1, row_bytes)
            yield n, at, _to_samples(band, layout, columns, samples)
            at += len(band)


def _decompress(
    file: BinaryIO, layout: Layout, n: int, height: int, row_bytes: int
) -> Iterator[bytes]:
    """Yield the first rows of a tile or a strip, some at a time."""
    size, step = height * row_bytes, max(1, BAND_BYTES // row_bytes) * row_bytes
    if layout.compression == RAW:
        for start in range(0, size, step):
            content = read_exactly(file, layout.offsets[n] + start, min(step, size - start))
            yield _reverse_bits(content) if layout.reversed_bits else content
        return
    packed = read_exactly(file, layout.offsets[n], layout.sizes[n])
    if layout.compression == WEBP:
        yield _decode_webp(packed, layout, height)[:size]
        return
    if layout.compression not in (DEFLATE, OLD_DEFLATE):
        yield _decompress_by_pillow(packed, layout, height, row_bytes)
        return
    packed = _reverse_bits(packed) if layout.reversed_bits else packed
    unpacker = zlib.decompressobj()
    for start in range(0, size, step):
        content = unpacker.decompress(packed, min(step, size - start))
        packed = unpacker.unconsumed_tail
        if len(content) < min(step, size - start):
            raise ValueError("a part of the picture is missing")
        yield content


def _reverse_bits(content: bytes) -> bytes:
    return REVERSED[np.frombuffer(content, dtype=np.uint8)].tobytes()


def _decompress_by_pillow(packed: bytes, layout: Layout, height: int, row_bytes: int) -> bytes:
    """Decompress a tile or a strip as if it were a grey picture of 8 bits: bytes are bytes."""
    directory = Directory("<")
    for tag, value in {256: row_bytes, 257: height, 273: 8, 278: height, 279: len(packed)}.items():
        directory.put(tag, LONG, value)
    fill_order = 2 if layout.reversed_bits else 1
    for tag, value in {258: 8, 259: layout.compression, 262: 1, 266: fill_order, 277: 1}.items():
        directory.put(tag, SHORT, value)
    body = packed + b"\0" * (len(packed) % 2)
    end = 8 + len(body)
    content = BytesIO(tiff_header("<", end) + body + directory.pack(end))
    with TiffImagePlugin.TiffImageFile(content) as image:
        return image.tobytes()


def _decode_webp(packed: bytes, layout: Layout, height: int) -> bytes:
    """Return the samples of a tile or a strip that is a WebP file, which Pillow's libtiff lacks."""
    with Image.open(BytesIO(packed), formats=("WEBP",)) as image:
        if image.width != layout.piece[1] or image.height < height:
            raise ValueError("a part of the picture has another size")
        return image.convert("RGBA" if layout.samples == 4 else "RGB").tobytes()


def _to_samples(band: np.ndarray, layout: Layout, columns: int, samples: int) -> np.ndarray:
    """Return bytes (h, bytes of a row) as samples (h, columns, samples)."""
    bits = layout.bits
    order: Literal["<", ">"] = layout.order
    shape = len(band), columns, samples
    if layout.predictor == FLOAT_DIFFERENCES:
        steps = band.reshape(len(band), -1, samples)
        planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(len(band), bits // 8, -1)
        band = np.ascontiguousarray(planes.swapaxes(1, 2)).reshape(len(band), -1)
        order = ">"  # whatever the file's
    if bits not in WHOLE_DEPTHS:
        whole = 8 if bits < 8 else 16
        places = np.unpackbits(band, axis=1, count=columns * samples * bits)
        places = places.reshape(*shape, bits)
        padded = np.zeros((*shape, whole), dtype=np.uint8)
        padded[..., whole - bits :] = places
        return np.packbits(padded, axis=3).view(f">u{whole // 8}")[..., 0]
    values = band.view(np.dtype(f"{layout.kind}{bits // 8}").newbyteorder(order)).reshape(shape)
    if layout.predictor == DIFFERENCES:
        unsigned = values.view(np.dtype(f"u{bits // 8}").newbyteorder(order))
        return np.cumsum(unsigned, axis=1, dtype=f"u{bits // 8}").view(f"{layout.kind}{bits // 8}")
    return values


def _scale(values: np.ndarray, layout: Layout) -> np.ndarray:
    """Return samples of any depth as uint8, of which 255 is white, or uint16, of which 65535 is."""
    if layout.photometric == PALETTE or (layout.kind == "u" and layout.bits in (8, 16)):
        return values
    if layout.kind == "f" or layout.bits == 32:
        white = find_white(values)
        target = 65535
    else:
        white, target = 2**layout.bits - 1, 255 if layout.bits < 8 else 65535
    scaled = np.empty(values.shape, dtype=np.uint8 if target == 255 else np.uint16)
    for y in range(0, len(values), 256):
        strip = np.nan_to_num(values[y : y + 256].astype(np.float64))
        scaled[y : y + 256] = (strip * (target / white)).round().clip(0, target)
    return scaled


def _divide_by_alpha(values: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Return premultiplied colours (H, W, C) as they were."""
    assert alpha is not None
    top = np.iinfo(values.dtype).max
    divided = np.empty_like(values)
    for y in range(0, len(values), 256):
        strip = values[y : y + 256].astype(np.float64)
        opacity = np.maximum(alpha[y : y + 256, :, None], 1)
        divided[y : y + 256] = (strip * top / opacity).round().clip(0, top)
    return divided


def _look_up(indices: np.ndarray, colour_map: np.ndarray) -> np.ndarray:
    """Return the colours (H, W, 3) uint8 of a palette's entries."""
    # Some programs store palettes of 8 bits.
    colours = colour_map if colour_map.max(initial=0) < 256 else to_8_bits(colour_map)
    return np.ascontiguousarray(colours.T.astype(np.uint8)[indices])


def _convert_lab(values: np.ndarray) -> np.ndarray:
    """Return CIE L*a*b* (H, W, 3), uint8 or uint16, whose a and b are signed, as sRGB."""
    deep = values.dtype == np.uint16
    lightness_step, chroma_step = (100 / 65535, 1 / 256) if deep else (100 / 255, 1.0)
    signed, top = (np.int16, 65535) if deep else (np.int8, 255)
    rgb = np.empty_like(values)
    for y in range(0, len(values), 256):
        strip = values[y : y + 256]
        chroma = strip[..., 1:].view(signed).astype(np.float64) * chroma_step
        lightness = strip[..., :1].astype(np.float64) * lightness_step
        lab = np.concatenate((lightness, chroma), axis=2)
        rgb[y : y + 256] = (lab_to_srgb(lab) * top).round()
    return rgb
