"""Which photographs are worth training on.

screening       near grey, toned, graphic
duplicates      dhash: which photographs show the same picture
derived_copies  rotated and scaled copies, and what they were made from
rejected_list   rejected.txt
review_page     the page to mark photographs on
contact_sheets  many photographs, small, with their names
"""
