"""Recombining in less time; each has a plain twin that it must equal.

block_means   averages over squares of pixels
colour_table  colours of all grey levels, looked up by chroma
"""
