"""Photographs from image search and open collections.

collection        downloaded photographs and their manifest
delivery          what a source has brought, and why not more
http              limits on addresses, sizes and time
bing, bing_child  Bing, in a child process
open_collections  Openverse and Wikimedia Commons
"""
