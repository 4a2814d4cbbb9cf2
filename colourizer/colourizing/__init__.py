"""colourize.py, except for its main path: what is asked of it, and what it says.

options         the command line's options
plan            the photographs and films that it names, as jobs
hints_by_photo  which photograph each --hint is for
report          the report of --report, wherever it lies
dry_run         what would be written
outcomes        outcomes, as they are printed and recorded
summary         the last lines: counts, speed, what was skipped
contact_sheet   the sheet of --compare
"""
