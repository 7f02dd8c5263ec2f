"""`python -m fastgrad` is the console script `fastgrad`."""

import sys

from ._cli import main

sys.exit(main())
