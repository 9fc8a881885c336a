"""`python -m hftlab`: the same as the command `hftlab`."""

import sys

from hftlab.cli import main

sys.exit(main())
