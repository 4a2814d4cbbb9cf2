"""Colour, without photographs' files and without networks.

space       sRGB, linear light, Lab, YCbCr; the gamut
bins        the bins of ab colours that the network predicts
metrics     PSNR, ab error, CIEDE2000, colourfulness
patchiness  how much colours vary within things of one colour
"""
