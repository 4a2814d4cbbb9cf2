"""Optimized recombining; each file names its plain definition.

cells         blocks of pixels that share one chroma
colour_table  look-up table from (grey level, chroma) to RGB or YCbCr
rgb           RGB by that table
ycbcr         luma and 4:2:0 chroma by that table
"""
