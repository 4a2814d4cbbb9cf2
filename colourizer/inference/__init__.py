"""Grey photograph -> coloured photograph.

colourizer      Colourizer, the class that other programs import
preprocess      a photograph -> the network's input
block_means     means over square blocks of pixels
prediction      the network's output for a photograph, from which colours are read
readout         likelihoods of the bins -> chroma, confidence
looks           named settings of vividness, warmth and saturation
calibration     colourfulness kept in fine-tuning: the bias of the bins
onnx_graph      levels, network and readout as one ONNX graph
coherence       chroma averaged over places that are alike
mean_chroma     casts taken back, faint colours enlarged
things          features of the thing that each place belongs to
variants        other plausible colourings
album           what recurs in several photographs, with the same colours in all
album_study     an album's photographs seen first; what several of them show
correspondence  the same places of two photographs, found by their features
retrieval       which photographs of an album may show the same
hints           known colours propagated by Gaussian-process regression
matches         how much of the photographs a reference matched, in words
batching        dynamic batching over threads, on a GPU
lightness       a photograph's own lightness and grey levels
upsample        bicubic upsampling of chroma
recombine       lightness + chroma -> pixels; calls fast/
colour_file     a file -> a prepared photograph; that + chroma -> a coloured file
output_plan     which photographs are coloured, and which files are written
reruns          which files are written where some are there already
run             what the photographs of a run share: options, threads, memory
batch           a folder: many photographs at a time
outcome         what became of a photograph or film; as JSON, as rows of a report
stream_listing  photographs of any storage, found one after another
stream_names    names of their results, without a list of them all
streaming       they and films, coloured as they are found
cluster         many machines: actors of Ray
provenance      hints as text; whether a photograph is a result of this program
sidecars        XMP files beside a photograph, copied beside its result
side_pictures   pictures of variants, confidence, comparison; contact sheet
fast/           look-up tables
"""
