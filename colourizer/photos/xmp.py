"""XMP packets: what coloured a photograph is added to what was there."""

import re
from xml.sax.saxutils import escape

# An invisible note in XMP, after which a machine can tell a colouring from a record. The IPTC's
# word for a photograph to which a trained network added something.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
HISTORY_STEP = (
    '<rdf:li xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#" rdf:parseType="Resource">'
    "<stEvt:action>edited</stEvt:action>"
    "<stEvt:softwareAgent>Image Colourizer</stEvt:softwareAgent>"
    "<stEvt:parameters>{}</stEvt:parameters></rdf:li>"
)
EMPTY_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF>'
    '</x:xmpmeta>\n<?xpacket end="w"?>'
)


def new_xmp(xmp: bytes, made_by: str | None) -> bytes:
    """Say in XMP that the photograph is upright and what made it; all else stays as it is.

    Args:
        xmp: a packet; empty for none.
        made_by: a sentence for the history; without it and without a packet there stays none.

    Returns:
        a packet; where `xmp` is not intelligible, as it was.
    """
    try:
        text = xmp.decode("utf-8")
    except UnicodeDecodeError:
        return xmp
    text = re.sub(r"(\btiff:Orientation\s*=\s*[\"'])\d+([\"'])", r"\g<1>1\2", text)
    text = re.sub(r"(<tiff:Orientation>)\s*\d+\s*(</)", r"\g<1>1\2", text)
    if not made_by:
        return text.encode()
    made_by = escape(made_by)
    if not xmp:
        text = EMPTY_XMP
    text = re.sub(r"<rdf:RDF([^<>]*)/>", r"<rdf:RDF\1></rdf:RDF>", text)
    end = text.rfind("</rdf:RDF>")
    if end < 0 or made_by in text:
        return text.encode()
    statements = ""
    if "DigitalSourceType" not in text:
        statements += (
            f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>"
        )
    if "CreatorTool" not in text:
        statements += f"<xmp:CreatorTool>{made_by}</xmp:CreatorTool>"
    step = HISTORY_STEP.format(made_by)
    history = text.find("</rdf:Seq>", text.find("<xmpMM:History"))
    if "<xmpMM:History" in text and 0 <= history < end:
        text = text[:history] + step + text[history:]
        end += len(step)
    elif "xmpMM:History" not in text:
        statements += f"<xmpMM:History><rdf:Seq>{step}</rdf:Seq></xmpMM:History>"
    if statements:
        subject = re.search(r"rdf:about\s*=\s*[\"']([^\"'<>]*)[\"']", text)  # one in all a packet
        description = (
            f'<rdf:Description rdf:about="{subject[1] if subject else ""}" '
            'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
            'xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" '
            'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
            f"{statements}</rdf:Description>"
        )
        text = text[:end] + description + text[end:]
    return text.encode()
