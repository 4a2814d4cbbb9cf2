"""XMP packets: in UTF-8, orientation reset, provenance (what coloured the photograph) added."""

import re
from xml.sax.saxutils import escape

# By this a machine can tell a colourized photograph from an original: the IPTC's term for a
# photograph to which a trained network added something.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
HISTORY_STEP = (
    '<rdf:li xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#" rdf:parseType="Resource">'
    "<stEvt:action>edited</stEvt:action>"
    "<stEvt:softwareAgent>Image Colourizer</stEvt:softwareAgent>"
    "<stEvt:parameters>{}</stEvt:parameters></rdf:li>"
)
MAX_PREFIXES = 8  # that a packet has for one namespace; one is usual
# Those of XMP beside UTF-8 (ISO 16684-1, 7.3.2). The longer ones first: in little-endian order the
# first two bytes are the same.
_WIDE_ENCODINGS = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
EMPTY_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF>'
    '</x:xmpmeta>\n<?xpacket end="w"?>'
)


def convert_to_utf8(xmp: bytes) -> bytes:
    """Return a packet of UTF-16, UTF-32 or, against the rules, Latin-1 in UTF-8; others as is.

    An XML declaration no longer names another encoding.
    """
    for encoding in _WIDE_ENCODINGS:
        if xmp.startswith(("<".encode(encoding), "\ufeff".encode(encoding))):
            text = xmp.decode(encoding, "replace").lstrip("\ufeff")
            break
    else:
        try:
            text = xmp.decode("utf-8")
        except UnicodeDecodeError:
            if not xmp.startswith(b"<"):
                return xmp
            text = xmp.decode("latin-1")
    named = r"(?i)(<\?xml\b[^<>]*?)\sencoding\s*=\s*[\"'](?!utf-8[\"'])[^\"']*[\"']"
    return re.sub(named, r"\1", text, count=1).encode()


def update_xmp(xmp: bytes, provenance: str | None, media_type: str = "") -> bytes:
    """Return the XMP of an upright photograph, with what made it; all else stays as it is.

    Args:
        xmp: a packet; empty for none.
        provenance: a sentence for the history; without it, an empty packet stays empty.
        media_type: of the file that it goes into, for dc:format where that is; empty leaves that.

    Returns:
        a packet; one that is broken, as it was.
    """
    try:
        text = xmp.decode("utf-8")
    except UnicodeDecodeError:
        return xmp
    prefixes = re.findall(r"xmlns:([\w.-]+)\s*=\s*[\"']http://ns\.adobe\.com/tiff/1\.0/[\"']", text)
    name = rf"(?:{'|'.join(map(re.escape, {'tiff', *prefixes[:MAX_PREFIXES]}))}):Orientation\b"
    text = re.sub(rf"(\b{name}\s*=\s*[\"'])\d+([\"'])", r"\g<1>1\2", text)
    text = re.sub(rf"(<{name}[^<>/]*>)\s*\d+\s*(</)", r"\g<1>1\2", text)
    if media_type:
        text = name_format(text, media_type)
    if provenance:
        text = _add_provenance(text or EMPTY_XMP, escape(provenance))
    return text.encode()


def name_format(text: str, media_type: str) -> str:
    """Return a packet's text whose dc:format, where it has one, is a media type."""
    named = r"(<dc:format>|\bdc:format=[\"'])\s*image/[\w.+-]+"
    return re.sub(named, rf"\g<1>{media_type}", text)


def _add_provenance(text: str, provenance: str) -> str:
    """Add a step to a packet's history, and the source type and the tool where they are missing."""
    text = re.sub(r"<rdf:RDF([^<>]*)/>", r"<rdf:RDF\1></rdf:RDF>", text)
    end = text.rfind("</rdf:RDF>")
    if end < 0 or provenance in text:
        return text
    properties = ""
    if "DigitalSourceType" not in text:
        properties += (
            f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>"
        )
    if "CreatorTool" not in text:
        properties += f"<xmp:CreatorTool>{provenance}</xmp:CreatorTool>"
    step = HISTORY_STEP.format(provenance)
    history_end = text.find("</rdf:Seq>", text.find("<xmpMM:History"))
    if "<xmpMM:History" in text and 0 <= history_end < end:
        text = text[:history_end] + step + text[history_end:]
        end += len(step)
    elif "xmpMM:History" not in text:
        properties += f"<xmpMM:History><rdf:Seq>{step}</rdf:Seq></xmpMM:History>"
    return text[:end] + _describe(text, properties) + text[end:]


def _describe(text: str, properties: str) -> str:
    """Return an rdf:Description with properties, about the same subject as a packet's others."""
    if not properties:
        return ""
    subject = re.search(r"rdf:about\s*=\s*[\"']([^\"'<>]*)[\"']", text)  # all have the same
    return (
        f'<rdf:Description rdf:about="{subject[1] if subject else ""}" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"{properties}</rdf:Description>"
    )
