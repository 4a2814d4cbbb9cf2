"""XMP without what is true of the grey or stored picture, or of other parts of its file only."""

import re
from collections.abc import Iterator
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from colourizer.photos.orientation import swaps_sides, turn_extent, turn_point

_GOOGLE, _ADOBE = "http://ns.google.com/photos", "http://ns.adobe.com"
XMP, TIFF, EXIF = f"{_ADOBE}/xap/1.0/", f"{_ADOBE}/tiff/1.0/", f"{_ADOBE}/exif/1.0/"
NOTE, PHOTOSHOP = f"{_ADOBE}/xmp/note/", f"{_ADOBE}/photoshop/1.0/"
REGIONS = "http://www.metadataworkinggroup.com/schemas/regions/"
AREA, DIMENSIONS = f"{_ADOBE}/xmp/sType/Area#", f"{_ADOBE}/xap/1.0/sType/Dimensions#"
MICROSOFT_REGION = "http://ns.microsoft.com/photo/1.2/t/Region#"

# Namespaces, and beginnings of names in others ("" is all), that speak of parts which are not
# written: the film of a motion photograph, a gain map, depth, sound, a small copy, the rest of a
# long packet.
LEFT_OUT_NAMESPACES = (
    f"{_GOOGLE}/1.0/container/",
    f"{_GOOGLE}/dd/",  # dynamic depth
    f"{_ADOBE}/hdr-gain-map/",
    "http://ns.apple.com/HDRGainMap/",
)
LEFT_OUT_NAMES = (
    ("", ("MotionPhoto", "MicroVideo")),  # of any maker
    ("http://ns.oplus.com/photos/1.0/camera/", ("OLivePhoto", "VideoLength")),
    ("http://ns.xiaomi.com/photos/1.0/camera/", ("XMPMeta",)),
    (NOTE, ("HasExtendedXMP",)),
    (XMP, ("Thumbnails",)),
)
# What has its data in the rest of a long packet.
EXTENDED_NAMESPACES = tuple(f"{_GOOGLE}/1.0/{what}/" for what in ("depthmap", "image", "audio"))
# A signed manifest, in the file, of what its pixels were (C2PA 2.1, 11.4); other values are texts.
MANIFEST_NAME, MANIFEST = ("http://purl.org/dc/terms/", "provenance"), "self#jumbf"
# Places and angles in the stored picture that are left out when it is turned.
STORED_NAMESPACES = (
    f"{_GOOGLE}/1.0/panorama/",
    "http://ns.acdsee.com/regions/",
    "http://ns.apple.com/faceinfo/",
    *EXTENDED_NAMESPACES,
)
STORED_NAMES = (
    ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", ("ImageRegion",)),
    (EXIF, ("SubjectArea", "SubjectLocation")),
    # Crops and local corrections that are still to be applied.
    (
        f"{_ADOBE}/camera-raw-settings/1.0/",
        (
            *("Crop", "HasCrop", "Retouch", "RedEye", "Perspective", "Upright"),
            *("GradientBased", "CircularGradientBased", "PaintBased", "MaskGroupBased"),
        ),
    ),
)
# Pairs of properties that are exchanged with width and height.
RESOLUTIONS = (
    (TIFF, "XResolution", "YResolution"),
    (EXIF, "FocalPlaneXResolution", "FocalPlaneYResolution"),
)
# Properties that hold a size, and which of (H, W) it is.
SIZES = (
    (EXIF, "PixelXDimension", 1),
    (EXIF, "PixelYDimension", 0),
    (TIFF, "ImageWidth", 1),
    (TIFF, "ImageLength", 0),
)
# Properties that tell how grey samples are stored: one that is not 3 for RGB; all that go with it.
SAMPLES = (
    (PHOTOSHOP, "ColorMode", ("ColorMode", "ICCProfile")),
    (TIFF, "SamplesPerPixel", ("SamplesPerPixel", "BitsPerSample", "PhotometricInterpretation")),
)
_NOT_RGB = re.compile(rb"(?:ColorMode|SamplesPerPixel)(?:\s*=\s*[\"']|>)\s*(?!3\b)\d")
MAX_STRETCH = 0.02  # by which the proportions of rounded sizes may differ
_MARKS = (
    *(*LEFT_OUT_NAMESPACES, *EXTENDED_NAMESPACES, *STORED_NAMESPACES, REGIONS, MICROSOFT_REGION),
    *(name for _, names in LEFT_OUT_NAMES + STORED_NAMES for name in names),
    *(name for _, name, _ in SIZES),
    *(name for _, name, _ in RESOLUTIONS),
    MANIFEST,
)

Field = minidom.Attr | minidom.Element


def upright_xmp(xmp: bytes, orientation: int, size: tuple[int, int] | None) -> bytes:
    """Return the XMP of a picture that is upright, and alone in its file.

    Regions of faces are turned with it, and sizes are those of the upright picture. What speaks of
    parts that are not written (film, gain map, extended XMP, ...) is left out, and so are positions
    that cannot be turned, and what says that samples are grey or CMYK. The property
    tiff:Orientation stays. All else stays as it is.

    Args:
        xmp: a packet; one that is broken is returned as it is.
        orientation: of the stored picture, 1 to 8.
        size: (H, W) of the upright one, pixels; None, of one that was not turned, leaves what is
            said of it.
    """
    if not any(mark.encode() in xmp for mark in _MARKS) and not _NOT_RGB.search(xmp):
        return xmp
    try:
        text = xmp.decode("utf-8")
        root = minidom.parseString(xmp).documentElement
        if root is None:
            return xmp
        before = root.toxml()
        _leave_out(root, LEFT_OUT_NAMESPACES, LEFT_OUT_NAMES)
        if NOTE in text and "HasExtendedXMP" in text:
            _leave_out(root, EXTENDED_NAMESPACES, ())
        for field in _find(root, *MANIFEST_NAME):
            if _value(field).strip().startswith(MANIFEST):
                _remove(field)
        for namespace, name, all_names in SAMPLES:
            if any(_value(field).strip() != "3" for field in _find(root, namespace, name)):
                _leave_out(root, (), ((namespace, all_names),))
        if orientation > 1 and size:
            _leave_out(root, STORED_NAMESPACES, STORED_NAMES)
            _turn_regions(root, orientation, size)
        if swaps_sides(orientation):
            for namespace, *names in RESOLUTIONS:
                across, down = (_find(root, namespace, name) for name in names)
                for pair in zip(across, down, strict=False):
                    _exchange(*pair)
        if size:
            for namespace, name, axis in SIZES:
                for field in _find(root, namespace, name):
                    _set(field, str(size[axis]))
        after = root.toxml()
    except (ExpatError, ValueError, RecursionError):
        return xmp
    if after == before:
        return xmp
    start, end = text.find(f"<{root.nodeName}"), text.rfind(f"</{root.nodeName}>")
    if start < 0 or end < 0:
        return xmp
    return (text[:start] + after + text[end + len(f"</{root.nodeName}>") :]).encode()


def _elements(root: minidom.Element) -> Iterator[minidom.Element]:
    """Yield an element and all below it; what is removed meanwhile may still come."""
    yield root
    yield from root.getElementsByTagName("*")


def _fields(element: minidom.Element) -> list[Field]:
    """Return an element's properties: its attributes and the elements in it."""
    attributes = (element.attributes.item(n) for n in range(element.attributes.length))
    fields = (*attributes, *element.childNodes)
    return [field for field in fields if isinstance(field, (minidom.Attr, minidom.Element))]


def _find(root: minidom.Element, namespace: str, name: str) -> list[Field]:
    """Return all properties of a name, attributes or elements."""
    return [
        field
        for element in _elements(root)
        for field in _fields(element)
        if (field.namespaceURI, field.localName) == (namespace, name)
    ]


def _remove(field: Field) -> None:
    if isinstance(field, minidom.Attr):
        if field.ownerElement:
            field.ownerElement.removeAttributeNode(field)
    elif isinstance(field.parentNode, minidom.Element):
        field.parentNode.removeChild(field)


def _value(field: Field) -> str:
    if isinstance(field, minidom.Attr):
        return field.value
    return "".join(child.data for child in field.childNodes if isinstance(child, minidom.Text))


def _set(field: Field, value: str) -> None:
    """Set a property that holds a number, unless it has an equal one."""
    if _value(field).strip() == value:
        return
    if isinstance(field, minidom.Attr):
        field.value = value
        return
    for child in list(field.childNodes):
        field.removeChild(child)
    text = minidom.Text()
    text.data = value
    field.appendChild(text)


def _exchange(one: Field, other: Field) -> None:
    """Exchange the values of two properties."""
    values = _value(other), _value(one)
    _set(one, values[0])
    _set(other, values[1])


def _leave_out(
    root: minidom.Element,
    namespaces: tuple[str, ...],
    names: tuple[tuple[str, tuple[str, ...]], ...],
) -> None:
    """Remove the properties of some namespaces, and those with some names in others."""
    for element in list(_elements(root)):
        for field in _fields(element):
            namespace, name = field.namespaceURI or "", field.localName or ""
            if namespace.startswith(namespaces) or any(
                namespace.startswith(of) and name.startswith(beginnings) for of, beginnings in names
            ):
                _remove(field)


def _turn_regions(root: minidom.Element, orientation: int, size: tuple[int, int]) -> None:
    """Turn the regions of faces and things; those that are not of this picture are removed.

    Regions of the Metadata Working Group (Guidelines for handling image metadata 2.0, 5.9) have
    centres, widths and heights in [0, 1]; Microsoft's "x, y, w, h" with the upper left corner.
    """
    for regions in _find(root, REGIONS, "Regions"):
        try:
            known = isinstance(regions, minidom.Element) and _turn_areas(regions, orientation, size)
        except ValueError:  # no numbers
            known = False
        if not known:
            _remove(regions)
    for rectangle in _find(root, MICROSOFT_REGION, "Rectangle"):
        try:
            x, y, width, height = (float(number) for number in _value(rectangle).split(","))
        except ValueError:
            _remove(rectangle)
            continue
        centre = turn_point(orientation, x + width / 2, y + height / 2)
        width, height = turn_extent(orientation, width, height)
        corner = centre[0] - width / 2, centre[1] - height / 2
        _set(rectangle, ", ".join(f"{value:.6g}" for value in (*corner, width, height)))


def _turn_areas(regions: minidom.Element, orientation: int, size: tuple[int, int]) -> bool:
    """Turn the areas of a list of regions; return False if it is not of this picture."""
    for element in _elements(regions):
        of_size = {f.localName: f for f in _fields(element) if f.namespaceURI == DIMENSIONS}
        if {"w", "h"} <= of_size.keys():
            stored = float(_value(of_size["w"])), float(_value(of_size["h"]))
            width, height = turn_extent(orientation, *stored)
            # Regions of other proportions than the picture's are out of date, says the guideline.
            if height <= 0 or abs(width / height * size[0] / size[1] - 1) > MAX_STRETCH:
                return False
            if swaps_sides(orientation):
                _exchange(of_size["w"], of_size["h"])
        area = {f.localName: f for f in _fields(element) if f.namespaceURI == AREA}
        if area and "unit" in area and _value(area["unit"]) != "normalized":
            return False
        if {"x", "y"} <= area.keys():
            centre = turn_point(orientation, float(_value(area["x"])), float(_value(area["y"])))
            for name, value in zip("xy", centre, strict=True):
                _set(area[name], f"{value:.6g}")
        if {"w", "h"} <= area.keys() and swaps_sides(orientation):
            _exchange(area["w"], area["h"])
    return True
