"""cuDNN is not here: its switches may be set, and change nothing. Imports nothing."""

benchmark = False
deterministic = False
enabled = False


def is_available():
    """False: fastgrad computes on the CPU.

    >>> fg.backends.cudnn.is_available()
    False
    """
    return False
