"""One repetition of one workload in this process: `python -m tests.bench.once NAME SIZE FOLDER`.

Prints the figures as one JSON line. `tests.bench` starts it; nobody else needs to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from loguru import logger

from tests.bench.workloads import WORKLOADS

if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    name, size, folder = sys.argv[1:]
    print(json.dumps(WORKLOADS[name].run(Path(folder), int(size))))
