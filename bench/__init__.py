"""The benchmark of Moorage beside Debian's docker-registry; `python -m bench` runs it."""

import sys
from pathlib import Path

# PostgreSQL and the S3 servers of the tests are also what the fleet is measured on.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
