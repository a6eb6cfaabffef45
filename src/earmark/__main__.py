"""`python -m earmark` is `earmark`."""

import sys

from earmark.app import main

sys.exit(main())
