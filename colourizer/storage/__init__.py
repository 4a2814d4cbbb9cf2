"""Files in any storage that fsspec opens: object stores, servers, archives.

address     Address: a file or a folder; Path and Address alike
connection  fsspec's file systems, each opened once; their errors in words
files       reading, asking whether it exists, writing whole or not at all
listing     all files of a folder, one after another
"""
