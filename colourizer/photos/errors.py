"""Exceptions: what can be wrong with a photograph."""


class PhotoError(Exception):
    """A photograph that cannot be read or written; the message gives the reason, not the path."""


class SeveralPicturesError(PhotoError):
    """A file of several pages or frames: it would be coloured only in part, so it is left alone."""
