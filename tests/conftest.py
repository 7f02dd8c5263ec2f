"""Fixtures of several files."""

import pytest
from fastgrad._core.kernels import kernel_sets, use_set


@pytest.fixture(params=[name for name, supported in kernel_sets() if supported])
def kernels(request):
    """Each instruction set of this machine, in turn."""
    use_set(request.param)
    yield request.param
    use_set(None)
