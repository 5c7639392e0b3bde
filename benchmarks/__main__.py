"""`python -m benchmarks [overhead|lifecycles|submitting|status|claiming|startup …]`: all of them by default.

Those of a farm on services need the servers: `python -m tests.services -- python -m benchmarks against_celery`.
`many_workers` and `server_costs` have options (`--help`); without them each takes a minute or two.
`containers` needs a Docker engine and a render image, and is run when it is named.
"""

import importlib
import sys
from itertools import takewhile

NAMES = (
    "startup",
    "submitting",
    "status",
    "claiming",
    "lifecycles",
    "overhead",
    "once",
    "sandbox",
    "decoding",
    "uploading",
    "latency",
    "serving",
    "against_celery",
    "many_workers",
    "server_costs",
    "deeds",
    "growth",
)

if __name__ == "__main__":
    names = list(takewhile(lambda word: not word.startswith("-"), sys.argv[1:]))
    options = sys.argv[1 + len(names) :]
    for name in names or NAMES:
        print(f"== {name}", flush=True)
        main = importlib.import_module(f"benchmarks.{name}").main
        main(options) if options else main()
