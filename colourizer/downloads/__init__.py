"""Photographs from image search and open collections.

collection        downloaded photographs and their manifest
delivery          the files that a source has for a query, and what failed
http              openers with limits: http and https only, size, time
bing, bing_child  Bing, in a child process
open_collections  Openverse and Wikimedia Commons
"""
