"""Whether there is a GPU of Apple's: no. Imports nothing."""


def is_available():
    """False: fastgrad computes on the CPU.

    >>> fg.backends.mps.is_available()
    False
    """
    return False


def is_built():
    """False, likewise.

    >>> fg.backends.mps.is_built()
    False
    """
    return False
