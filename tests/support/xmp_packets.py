"""XMP packets that speak of faces, sizes, films and gain maps of a picture of orientation 6."""

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NAMESPACES = {
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "VCamera": "http://ns.vivo.com/photos/1.0/camera/",
    "Container": "http://ns.google.com/photos/1.0/container/",
    "Item": "http://ns.google.com/photos/1.0/container/item/",
    "GDepth": "http://ns.google.com/photos/1.0/depthmap/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "dcterms": "http://purl.org/dc/terms/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
}
STORED, UPRIGHT = (160, 240), (240, 160)  # (H, W) of a picture of orientation 6


def packet(attributes: str = "", inner: str = "") -> bytes:
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    return (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta '
        f'xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="" '
        f"{declared} dc:source='an &quot;album&quot;' {attributes}>{inner}</rdf:Description>"
        f'</rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
    ).encode()


FACE = (
    '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:AppliedToDimensions {size}/>'
    '<mwg-rs:RegionList><rdf:Bag><rdf:li><rdf:Description mwg-rs:Name="Ann" mwg-rs:Type="Face">'
    "{area}</rdf:Description></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"
)
SIZE = 'stDim:w="240" stDim:h="160" stDim:unit="pixel"'
AREA = (
    '<mwg-rs:Area stArea:x="0.25" stArea:y="0.5" stArea:w="0.1" stArea:h="0.2" '
    'stArea:unit="normalized"/>'
)
AREA_OF_ELEMENTS = (
    '<mwg-rs:Area rdf:parseType="Resource"><stArea:x>0.25</stArea:x><stArea:y>0.5</stArea:y>'
    "<stArea:w>0.1</stArea:w><stArea:h>0.2</stArea:h></mwg-rs:Area>"
)
MICROSOFT = (
    '<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag><rdf:li '
    'MPReg:PersonDisplayName="Ann" MPReg:Rectangle="0.2, 0.4, 0.1, 0.2"/></rdf:Bag>'
    "</MPRI:Regions></MP:RegionInfo>"
)
GREY_SAMPLES = (
    "<tiff:BitsPerSample><rdf:Seq><rdf:li>8</rdf:li></rdf:Seq></tiff:BitsPerSample>"
    "<tiff:SamplesPerPixel>{0}</tiff:SamplesPerPixel>"
)
LEFT_OUT = [
    ('GCamera:MotionPhoto="1" GCamera:MicroVideoOffset="2036"', ""),
    ('VCamera:MotionPhoto="1"', "<VCamera:MicroVideo>1</VCamera:MicroVideo>"),
    ('dcterms:provenance="self#jumbf=/c2pa/urn:uuid:7"', ""),
    ('hdrgm:Version="1.0"', ""),
    (
        "",
        '<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item '
        'Item:Semantic="GainMap" Item:Length="7"/></rdf:li></rdf:Seq></Container:Directory>',
    ),
    ('xmpNote:HasExtendedXMP="0A" GDepth:Format="RangeInverse"', ""),
    ("", "<xmp:Thumbnails><rdf:Alt><rdf:li/></rdf:Alt></xmp:Thumbnails>"),
]
