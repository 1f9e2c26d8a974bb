"""`python -m tests.faults`, which is `make faults`."""

import sys

from tests.faults.batches import main

sys.exit(main())
