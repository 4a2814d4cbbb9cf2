"""Grey film -> coloured film. Needs PyAV, which only this subpackage imports.

container      names of films, their containers and codecs; imported without PyAV
stored_films   films of storages and clusters, by a copy on the local disk; without PyAV
film_hints     hints with a time; imported without PyAV
film_settings  what moves the colours of films; imported without PyAV
job            films one after the other, and their outcomes
probe          what a film is: size, rate, tags, fields, rotation
file_end       where a file ends by what its container says, without PyAV
read           decoded frames, in order, past what is damaged
pictures       frames with their colours, in batches, cut into segments
coherence      colours of a film's frames, in order, without flicker
motion         block matching between two frames
propagation    a scene's decoder features, averaged over its frames
scenes         cuts, and frames without content
planes         luma of a decoded frame; luma + chroma -> a frame to encode
encode         encoders and their settings
recode         coloured frames -> encoded segments
compare        the film of --compare
segments       encoded parts on disk, from which a killed run goes on
join           segments + sound and subtitles of the source -> the film
"""
