"""What this process does when it is sent a signal: handlers take no locks, whatever they interrupt."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.cli.signals import interruptible, on_first_and_second_signal, pausable

_PATIENCE_S = 5.0
_SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Signals are not ignored, as they are in what a script has put into the background."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Recorder:
    """Notes what was called, and takes a lock for it, as whoever sets an event does."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: list[str] = []
        self.done = threading.Semaphore(0)

    def __call__(self, name: str) -> None:
        assert self.lock.acquire(timeout=_PATIENCE_S), f"{name} waits for itself"
        self.calls.append(name)
        self.lock.release()
        self.done.release()

    def wait(self, calls: int) -> None:
        for _ in range(calls):
            assert self.done.acquire(timeout=_PATIENCE_S), self.calls


def test_a_signal_that_comes_while_its_thread_holds_the_lock_is_acted_upon_once_it_is_free() -> None:
    recorder = Recorder()
    with on_first_and_second_signal(lambda: recorder("first"), lambda: recorder("second")):
        with recorder.lock:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
        recorder.wait(2)
    assert recorder.calls == ["first", "second"]


def test_a_signal_that_comes_while_another_is_acted_upon_waits_for_its_turn() -> None:
    recorder = Recorder()

    def first() -> None:
        with recorder.lock:
            signal.raise_signal(signal.SIGINT)
        recorder("first")

    with on_first_and_second_signal(first, lambda: recorder("second")):
        signal.raise_signal(signal.SIGTERM)
        recorder.wait(2)
    assert recorder.calls == ["first", "second"]


def test_each_further_signal_is_a_second_one() -> None:
    recorder = Recorder()
    with on_first_and_second_signal(lambda: recorder("first"), lambda: recorder("second")):
        for _ in range(4):
            signal.raise_signal(signal.SIGTERM)
        recorder.wait(4)
    assert recorder.calls == ["first", "second", "second", "second"]


def test_hold_and_resume_are_signals_of_their_own() -> None:
    recorder = Recorder()
    with pausable(lambda: recorder("hold"), lambda: recorder("resume")):
        with recorder.lock:
            signal.raise_signal(signal.SIGUSR1)
        recorder.wait(1)
        signal.raise_signal(signal.SIGUSR2)
        recorder.wait(1)
    assert recorder.calls == ["hold", "resume"]


def test_one_that_fails_does_not_keep_the_next_from_being_heard(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()

    def fail() -> None:
        raise ValueError("no")

    with on_first_and_second_signal(fail, lambda: recorder("second")):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        recorder.wait(1)
    assert "SIGTERM" in caplog.text


def test_an_ignored_hangup_stays_ignored() -> None:
    recorder, before = Recorder(), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with on_first_and_second_signal(lambda: recorder("first"), lambda: recorder("second")):
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert recorder.calls == []


def test_afterwards_the_handlers_are_those_that_were_there_before() -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    threads = threading.active_count()
    with on_first_and_second_signal(lambda: None, lambda: None), pausable(lambda: None, lambda: None):
        pass
    with interruptible():
        pass
    assert [signal.getsignal(number) for number in numbers] == before
    assert threading.active_count() == threads


def test_an_interrupt_raises_at_once_and_sets_the_event_although_its_thread_holds_the_lock_of_it() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible() as stop:  # noqa: PT012
        try:
            with stop._cond:  # type: ignore[attr-defined]  # as a thread that begins to wait for it
                signal.raise_signal(signal.SIGINT)
        finally:
            assert stop.wait(_PATIENCE_S)


@pytest.mark.slow
def test_a_second_interrupt_kills() -> None:
    code = (
        "import signal\nfrom renderctl.cli.signals import interruptible\n"
        "with interruptible():\n"
        "    try: signal.raise_signal(signal.SIGINT)\n"
        "    except KeyboardInterrupt: signal.raise_signal(signal.SIGTERM)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == -signal.SIGTERM


@pytest.mark.slow
def test_a_second_interrupt_while_the_first_is_reported_ends_the_command_without_a_traceback() -> None:
    code = (
        "import signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name in ('renderctl.cli.context', 'renderctl.cli.errors'):\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from renderctl.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code, "worker"]
    ended = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")


def test_handlers_are_set_in_one_place_where_none_of_them_takes_a_lock() -> None:
    setting = {
        str(path.relative_to(_SOURCE / "renderctl"))
        for path in _SOURCE.rglob("*.py")
        if re.search(
            r"signal\.signal\([^,]+, (?!signal\.SIG_)|add_signal_handler\(|setitimer\(",
            path.read_text(encoding="utf-8"),
        )
    }
    assert setting == {"cli/signals.py"}
