"""Grey film -> coloured film.

coherence      colours of a film's frames, in order, without flicker
"""
