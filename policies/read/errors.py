"""The one error of the readers."""


class UnreadableInput(ValueError):
    """A file that can't be judged, because it can't be read whole; the message says what to do."""
