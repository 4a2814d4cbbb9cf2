"""Photographs' files <-> pixels and metadata; nothing about colourization, no PyTorch.

photo          Photo: pixels, alpha and metadata
files          names, formats, folders
read           a file -> a Photo, or an RGB image; many in threads
write          coloured pixels + a Photo -> a file
decode         opening and decoding; decompression bombs refused
encode         pixels -> JPEG, PNG, TIFF, WebP, AVIF, BMP
pictures       small pictures: JPEGs in memory, grids of tiles
conversions    what is not as it was once a photograph is coloured, in words
metadata       Metadata: EXIF, XMP, profile, resolution, texts
exif, xmp      those two, parsed and updated
photoshop      image resources, without the thumbnail
raw_profile    metadata as texts of a PNG
orientation    where points of a stored picture lie upright
upright_exif   sizes and positions in EXIF, of the upright picture
upright_xmp    the same in XMP, without what is left out of the file
icc            colour profiles: grey and CMYK -> sRGB; RGB ones made
tone           what PNG and AVIF say of their values without a profile
app_segments   what a JPEG's begin with
jpeg_segments  a JPEG's app segments and scans
heif_boxes     properties of the picture in an AVIF or HEIF
png, tiff      written strip by strip
tiff_pages     a TIFF's pictures, and which one is the photograph
tiff_samples   its samples, of any depth, -> pixels and alpha
tiff_image     a TIFF opened at its photograph
strips         rows of pixels regrouped; deflate
sixteen_bit    colours of 16 bits
pixels         an image of any mode -> pixels and alpha
pillow_limits  Pillow's limits while photographs are read
source         a path or an open file
errors         what can be wrong with a photograph
"""
