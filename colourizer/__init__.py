"""Image Colourizer: puts colour into black-and-white photographs.

from colourizer import Colourizer

runtime      the process: command lines, threads, atomic writes
colour       colour spaces, bins of ab colours, metrics
storage      files in object stores and on servers
record       what was done to which file, and with which settings: tags, reports
photos       photographs' files <-> pixels and metadata
network      checkpoints, devices, other networks; kernels for prediction in network/fast
inference    grey photograph -> coloured photograph; look-up tables in inference/fast
film         grey film -> coloured film
colourizing  options of colourize.py, what it plans, what it says
curation     which photographs are worth training on
downloads    photographs from image search and open collections
training     crops, losses, validation, a run's folder
app          the page in the browser
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from colourizer.inference.colourizer import Colourizer

__all__ = ["Colourizer"]
__version__ = "2.0.0"


def __getattr__(name: str) -> object:
    """Return the class Colourizer, imported with PyTorch on first use (PEP 562)."""
    if name != "Colourizer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from colourizer.inference.colourizer import Colourizer

    return Colourizer
