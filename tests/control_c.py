"""Control-C as a terminal sends it, also where a shell started the tests in the background: there it is ignored, and
Python then installs no handler."""

import _thread
import signal
import threading
from contextlib import contextmanager


@contextmanager
def control_c_after(seconds):
    """Interrupts the main thread within the block."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(seconds, _thread.interrupt_main)
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
