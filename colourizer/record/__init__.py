"""The record of what was done to which scan: rows, the report that holds them, verification.

row            Row and Settings, as dictionaries and as text
row_index      which row counts of several for one output
report         rows in JSON lines or Parquet: appended, read, kept once for each output
stored_report  a report in a storage: parts while it grows
verify         whether the outputs of a report are still what it says
tag            the sentence in a file's metadata that says what coloured it
"""
