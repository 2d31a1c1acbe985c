"""``siblings/1``: a replica, node or region that moves away from the others of its kind."""

from operators.detectors.beside import SIBLINGS, Beside, channels, fields


class Siblings(Beside):
    """Difference from the median of the siblings at the same window, by `operators.detection.peers`."""

    id = "siblings/1"
    summary = "a replica, node or region unlike its siblings at the same time"
    name, line = "siblings", SIBLINGS
    fields = fields("siblings")
    channels = channels("siblings")
