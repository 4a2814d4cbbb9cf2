"""Optimized training on the CPU; each file names its plain definition.

bins_loss  the loss over the bins, with its gradient, in parts that fit a cache
"""
