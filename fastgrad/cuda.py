"""Whether there is a GPU: no. For scripts that choose their device with ``cuda.is_available()``, and that seed or clear what
it may be in any case, which does nothing here. Imports nothing."""


def is_available():
    """False: fastgrad computes on the CPU.

    >>> fg.cuda.is_available()
    False
    """
    return False


def device_count():
    """0.

    >>> fg.cuda.device_count()
    0
    """
    return 0


def manual_seed(seed):
    """Does nothing: there is no generator of a GPU. `fastgrad.manual_seed` seeds the one there is.

    >>> fg.cuda.manual_seed(0)
    """


def manual_seed_all(seed):
    """Does nothing, likewise.

    >>> fg.cuda.manual_seed_all(0)
    """


def empty_cache():
    """Does nothing: there is no memory of a GPU. `fastgrad.empty_cache` clears what is kept of the CPU's.

    >>> fg.cuda.empty_cache()
    """


def synchronize(device=None):
    """Does nothing: every function has computed its result when it returns.

    >>> fg.cuda.synchronize()
    """
