"""Whether there is a GPU: no. For scripts that choose their device with ``cuda.is_available()``. Imports nothing."""


def is_available():
    """False: fastgrad computes on the CPU."""
    return False


def device_count():
    """0."""
    return 0
