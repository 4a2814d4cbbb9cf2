"""Photograph in, coloured photograph out.

colourizer     Colourizer: the library's door
preprocess     what the network sees of a photograph
prediction     what the network said, kept, read out as often as wished
readout        likelihoods -> colours, confidence, variants
hints          known colours spread to what belongs to them
batching       many threads' photographs in batches, on a GPU
lightness      a photograph's own lightness and greys
upsample       chroma enlarged
recombine      lightness + chroma -> pixels; the door to fast/
colour_file    a Photo + chroma -> a coloured file
output_plan    which photographs, which files
batch          a folder: many photographs at a time
side_pictures  variants, confidence, comparison, contact sheet
fast/          look-up tables and block means
"""
