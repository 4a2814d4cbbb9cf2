"""Which photographs are worth training on.

screening       near grey, toned, graphic
duplicates      near-duplicates, by a difference hash (dhash)
derived_copies  rotated and scaled copies, and what they were made from
rejected_list   rejected.txt, read and written
review_page     the web page to mark photographs on
contact_sheets  many photographs, small, with their names
"""
