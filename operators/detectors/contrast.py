"""``contrast/1``: a slice that moves away from the rest of what it is a part of."""

from operators.detectors.beside import CONTRAST, Beside, channels, fields


class Contrast(Beside):
    """Difference from the rest of the whole at the same window, by `operators.detection.peers`."""

    id = "contrast/1"
    summary = "a slice unlike the rest of its service, though the total hardly moves"
    name, line = "contrast", CONTRAST
    fields = fields("contrast")
    channels = channels("contrast")
