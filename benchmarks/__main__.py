"""`python -m benchmarks [overhead|lifecycles|submitting|status|claiming|startup …]`: all of them by default.

Those of a farm on services need the servers: `python -m tests.services -- python -m benchmarks against_celery`.
`containers` needs a Docker engine and a render image, and is run when it is named.
"""

import importlib
import sys

NAMES = (
    "startup",
    "submitting",
    "status",
    "claiming",
    "lifecycles",
    "overhead",
    "sandbox",
    "decoding",
    "uploading",
    "latency",
    "serving",
    "against_celery",
    "many_workers",
    "deeds",
)

if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        print(f"== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()
