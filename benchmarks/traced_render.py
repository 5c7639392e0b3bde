"""`renderctl`, with a note of when each phase of a `render` ends. `python traced_render.py FILE WORD …`.

It must import nothing that renderctl would import later: that would be counted where it does not belong.
"""

import functools
import importlib.machinery
import sys
import time
from types import ModuleType
from typing import Any

#: What ends (or, for the first, begins) a phase: module, function, and the name of the event.
AT_ITS_END = {
    "renderctl.executors.process": {"spawn": "blender started"},
    "renderctl.farm.worker.worker": {"Worker.start": "registered"},
    "renderctl.blender.session": {"Session.inspect": "inspected", "Session.render": "rendered"},
    "renderctl.farm.worker.session_slot": {"SessionSlot.for_job": "opened"},
    "renderctl.farm.worker.publisher": {"Publisher.publish": "published"},
    "renderctl.farm.render": {"submit_reserved": "submitted", "_RenderRun._rendered": "downloaded"},
}
_IMPORTED = "renderctl.farm.render"
stamps: dict[str, float] = {}


def _stamped(function: Any, event: str) -> Any:
    @functools.wraps(function)
    def stamping(*args: Any, **more: Any) -> Any:
        try:
            return function(*args, **more)
        finally:
            stamps.setdefault(event, time.monotonic())

    return stamping


def _stamp(module: ModuleType) -> None:
    for path, event in AT_ITS_END[module.__name__].items():
        *holders, name = path.split(".")
        holder: Any = functools.reduce(getattr, holders, module)
        setattr(holder, name, _stamped(getattr(holder, name), event))
    if module.__name__ == _IMPORTED:
        stamps["imported"] = time.monotonic()


class _Stamping(importlib.machinery.PathFinder):
    """Finds modules as usual, and stamps the functions of some."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> Any:
        spec = super().find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None and fullname in AT_ITS_END:
            execute = spec.loader.exec_module

            def executing(module: ModuleType) -> None:
                execute(module)
                _stamp(module)

            spec.loader.exec_module = executing  # type: ignore[method-assign]
        return spec


def main() -> None:
    file = sys.argv[1]
    sys.argv = ["renderctl", *sys.argv[2:]]
    sys.meta_path.insert(0, _Stamping)
    from renderctl.cli import run

    code = run(sys.argv[1:])
    import json
    import os

    with open(file, "w", encoding="utf-8") as written:  # noqa: PTH123
        json.dump(stamps, written)
    os._exit(code)


if __name__ == "__main__":
    main()
