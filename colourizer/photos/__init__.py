"""Photographs' files <-> pixels and metadata; nothing about colourization, no PyTorch.

photo          Photo: pixels, alpha and metadata
files          names, formats, folders
read           a file -> a Photo
write          coloured pixels + a Photo -> a file
decode         opening and decoding, bombs refused
pillow_limits  Pillow's limits while it reads, and restored
encode         pixels -> JPEG, PNG, TIFF, WebP, AVIF, BMP
metadata       what a file says besides its pixels
exif, xmp      those two, read and written
icc            colour profiles of grey and CMYK -> sRGB
jpeg_segments  a JPEG's segments and scans
png, tiff      written strip by strip
strips         rows of pixels regrouped; deflate
sixteen_bit    colours of 16 bits
pixels         an image of any mode -> pixels and alpha
pictures       small pictures: JPEGs in memory, grids of tiles
source         a path or an open file
errors         what can be wrong with a photograph
"""
