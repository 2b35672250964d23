"""``python -m minillm`` is the command ``minillm``."""

import sys

from minillm.cli import main

sys.exit(main())
