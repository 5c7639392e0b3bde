"""A session's process for these tests: pipes, and nothing else."""

import queue
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from renderctl.errors import SessionEnded


@dataclass(frozen=True)
class Exit:
    code: int | None
    signal: int | None = None
    out_of_memory: bool = False
    detail: str | None = None


class PipeChannel:
    """The child's standard input and output, line by line."""

    def __init__(self, argv: tuple[str, ...], environment: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=dict(environment)
            )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise SessionEnded from error

    def receive(self, timeout_s: float) -> str | None:
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if line is None:
            self._lines.put(None)
            raise SessionEnded
        return line

    def busy_s(self) -> float:
        try:
            times = psutil.Process(self.process.pid).cpu_times()
        except psutil.NoSuchProcess:
            return 0.0
        return float(times.user + times.system)

    def stop(self, grace_s: float = 0.0) -> Exit:
        if self.process.poll() is None:
            try:
                self.process.wait(grace_s or 1.0) if self._lines.queue and self._lines.queue[-1] is None else None
            except subprocess.TimeoutExpired:
                pass
            self.process.kill()
        code = self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except OSError:
                    pass
        return Exit(code if code >= 0 else None, -code if code < 0 else None)
