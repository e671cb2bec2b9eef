"""What is wrong with a folder of weights, each as a sentence that says what to do."""


class WeightsError(ValueError):
    """The weights can't be signed, or aren't the ones that were signed; a message may have several lines."""


class KeyFault(WeightsError):
    """The key that was given is of no use: nothing is said of the weights."""
