"""Training, except for the loop itself, which is in train.py.

options        recipes, the command line's options
state          networks, optimizer and progress; what last.pt has
data, split    photographs found, read, held out
photo_cache    decoded photographs, memory-mapped
file_versions  which files are unchanged
shards         photographs in tar files (WebDataset)
stored_shards  those in storages, fetched to the cache
crops          random crops, the network's input and target
batches        an epoch's batches of crops, prefetched
ageing         augmentation: the input looks old
losses         L1, cross-entropy
criterion      which of them a recipe asks for
muon           an optimizer beside PyTorch's own
fast           the same quicker
schedule       learning rate, length of a run
validation     metrics on the photographs that are held out
distributed    data-parallel training under torchrun
launcher       the same without torchrun, on one computer
run_folder     a run's files: checkpoints, settings, log
report         the log, and what is printed
plots          progress.png
tensorboard    the log and pictures for TensorBoard
"""
