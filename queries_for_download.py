"""What dataset.py searches for: the queries of the original project, in its order."""

QUERIES = (
    "animals", "people", "cars", "buildings", "trees", "mountains", "beaches", "food",
    "oceans", "rivers", "lakes", "deserts", "cities", "night", "moon", "clouds",
    "rain", "snow", "storm", "fog", "wind", "tornado", "hurricane", "earthquake",
    "volcano", "tsunami", "fire", "ice", "water", "air", "earth", "space",
    "universe", "galaxy", "planet", "winter", "spring", "summer", "autumn",
    "flowers", "peoples faces",
)  # fmt: skip
