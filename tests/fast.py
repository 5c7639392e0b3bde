"""The fast suite, `pytest --fast`: which tests it has, where their files lie, and how much of a processor they may use.

What it uses is compared with what a fixed piece of work takes between the tests: a machine that is slow or busy makes
both of them slower.
"""

import gc
import json
import os
import re
import sqlite3
import time
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from tests.memory import memory_folder

#: What a fast test is not.
EXCLUDED = ("slow", "services", "containers", "blender", "browser", "chaos")
#: Processor seconds that the suite may use, where a piece of work takes `PIECE_S`. It is to take 30 s on two cores;
#: it took 105 s beside twenty other processes, and this is nearly half as much again.
BUDGET_S, PIECE_S = 150.0, 0.0018
#: So many tests lie between two pieces of work.
_EVERY = 10
#: Bytes that have to be free in memory for the files of the tests.
_MEMORY = 2 << 30
#: Objects that come to be before the garbage collector looks at them: the modules of a run are a large heap.
_YOUNG_OBJECTS = 20_000
_MODULE_MARKS = re.compile(r"^pytestmark = .*?(?=^\S|\Z)", re.M | re.S)


@dataclass(frozen=True)
class Used:
    """What one process of the suite has used."""

    cpu_s: float  #: of its processes, too
    piece_s: float  #: processor seconds that a piece of work took meanwhile, on average


def piece_s() -> float:
    """Processor seconds that a piece of work takes now: some of what tests do all the time."""
    began = time.thread_time()
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE document (id INTEGER PRIMARY KEY, text TEXT)")
        for number in range(200):
            text = json.dumps({"number": number, "words": [str(number + step) for step in range(8)]})
            connection.execute("INSERT INTO document VALUES (?, ?)", (number, text))
        assert sum(len(json.loads(text)) for (text,) in connection.execute("SELECT text FROM document")) == 400
    connection.close()
    return time.thread_time() - began


def overrun(used: Iterable[Used], budget_s: float) -> str | None:
    """What is wrong when all processes together have used more than they may; None: they have not."""
    spent = [(each.cpu_s * PIECE_S / each.piece_s, each.cpu_s) for each in used]
    compared, cpu_s = (sum(column) for column in zip(*spent, strict=True)) if spent else (0.0, 0.0)
    if compared <= budget_s:
        return None
    return (
        f"The fast suite used {cpu_s:.1f} s of processor, {compared:.1f} s where nothing slows it down; "
        f"it may use {budget_s:g}. `--durations 30` says where they go; a test that takes long by nature is `slow`."
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fast")
    group.addoption("--fast", action="store_true", help=f"run what is neither {', '.join(EXCLUDED[:-1])} nor chaos")
    group.addoption(
        "--budget", type=float, default=BUDGET_S, help="processor seconds that --fast may use (default %(default)s)"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("fast"):
        return
    config.option.markexpr = " and ".join(f"not {mark}" for mark in EXCLUDED)
    memory = memory_folder(_MEMORY)
    if not config.option.basetemp and memory is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))
    config.pluginmanager.register(_Budget(config), "fast budget")
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Nothing that collection makes is garbage."""
    if not session.config.getoption("fast"):
        return (yield)
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Modules without a fast test are not even imported, nor is what prepares a folder of them."""
    if not config.getoption("fast") or collection_path.name == "__pycache__":
        return None
    if collection_path.is_dir():
        modules = list(collection_path.rglob("test_*.py"))
        return (bool(modules) and all(map(_has_no_fast_test, modules))) or None
    return _has_no_fast_test(collection_path) or None


def _has_no_fast_test(module: Path) -> bool:
    marks = _MODULE_MARKS.search(module.read_text(encoding="utf-8"))
    return marks is not None and any(f"pytest.mark.{mark}" in marks[0] for mark in EXCLUDED)


class _Budget:
    """Adds up what the processes of a run use, and fails the run when it is too much."""

    def __init__(self, config: pytest.Config) -> None:
        self._budget_s: float = config.getoption("budget")
        self._pieces_s = [piece_s()]
        self._tests = 0
        self._used: list[Used] = []
        self._overrun: str | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self) -> None:
        self._tests += 1
        if self._tests % _EVERY == 0:
            self._pieces_s.append(piece_s())

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        times = os.times()
        children_s = 0.0 if self._used else times.children_user + times.children_system  # they have said it themselves
        ours = Used(times.user + times.system + children_s, mean(self._pieces_s))
        output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["used"] = asdict(ours)
            return
        self._overrun = overrun([ours, *self._used], self._budget_s)
        if self._overrun and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {})
        if "used" in output:
            self._used.append(Used(**output["used"]))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._overrun:
            terminalreporter.write_line(self._overrun, red=True)
