"""What moves the colours of films, for their tags and a report; imported without PyAV."""

from dataclasses import replace

from colourizer.film.film_hints import FilmHint, describe_film_hints
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.run import ColourOptions
from colourizer.record.row import Settings
from colourizer.storage.address import Location


def film_settings(
    colourizer: Colourizer, colours: ColourOptions, film: Location, hints: tuple[FilmHint, ...]
) -> Settings:
    """Return what moves the colours of a film.

    Args:
        colourizer: the network.
        colours: how photographs are coloured; some of that films have not.
        film: only one that is alone has hints.
        hints: of the photograph or film that has hints.
    """
    own = hints if film in colours.hints else ()
    settings = colourizer.settings(reference=colours.reference)
    return replace(settings, hints=describe_film_hints(own))
