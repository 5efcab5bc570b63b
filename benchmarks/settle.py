"""The process as the command line settles it, threads and memory: import it before numpy and torch."""

import os

from seedbed.process import keep_freed_memory, limit_threads

limit_threads(int(os.environ.get("OMP_NUM_THREADS", "2")), spin=10_000)
keep_freed_memory()
