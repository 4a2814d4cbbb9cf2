"""Training, but for the loop itself, which is train.py.

options      the command line's options
data, split  photographs found, read, held out
photo_cache  decoded photographs, memory-mapped
shards       photographs in tar files (WebDataset)
crops        augmented crops in batches
ageing       photographs made to look old
losses       what is minimized
schedule     learning rate and length of a run
validation   figures on what is held out
distributed  data-parallel training under torchrun
run_folder   a run's files: checkpoints, settings, log
report       what a run says of itself
plots        progress.png
tensorboard  the same for TensorBoard
"""
