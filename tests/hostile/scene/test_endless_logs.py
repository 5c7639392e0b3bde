"""A scene's script prints without an end: neither a disk nor anybody's memory fills up, and what matters is kept."""

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from renderctl.core.attempts import Cost
from renderctl.core.jobs import Attempt
from renderctl.core.settings import Settings
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import finish_job_if_done
from renderctl.farm.jobs.attempt_logs import PIECE, kept_log
from renderctl.farm.jobs.logs import follow, log_follower, logs
from renderctl.farm.jobs.tasks import attempt_log
from renderctl.farm.worker.in_flight import InFlight
from renderctl.farm.worker.log_files import LogExcerpt, release_middle
from renderctl.farm.worker.reporting import Reporter
from tests.fake_blender import FakeBlender, FakeExecutor, rendered
from tests.farms import (
    ACTOR,
    QUICK,
    at_work,
    close,
    given_job,
    given_worker,
    make_farm,
    wait_for,
    work_off,
    work_until,
)

EITHER_WAY = True
LIMIT = 1 << 20
LINE = b"Fra:1 this line says nothing at all, and it says so again and again and again\n"


def disk_bytes(path: Path) -> int:
    return path.stat().st_blocks * 512


def given_log(path: Path, size: int) -> Path:
    with path.open("ab") as file:
        file.write(b"$ blender\n")
        for _ in range(size // (1 << 20)):
            file.write(LINE * ((1 << 20) // len(LINE)))
        file.write(b"# failed: at the very end\n")
    return path


def test_a_log_below_the_limit_is_kept_as_it_is(tmp_path: Path) -> None:
    log = given_log(tmp_path / "log", 0)
    excerpt = LogExcerpt(log, LIMIT)
    assert b"".join(excerpt.pieces()) == log.read_bytes()
    assert excerpt.size == log.stat().st_size


def test_of_a_long_log_the_first_and_the_last_half_of_the_limit_are_kept(tmp_path: Path) -> None:
    log = given_log(tmp_path / "log", 5 << 20)
    excerpt = LogExcerpt(log, LIMIT)
    text, whole = b"".join(excerpt.pieces()), log.read_bytes()
    head, _, rest = text.partition(b"\n[... ")
    count, _, tail = rest.partition(b" bytes are left out here: worker.log_mb ...]\n")
    assert (len(text), len(head)) == (excerpt.size, LIMIT // 2)
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert tail.startswith(LINE)
    assert len(head) + int(count.replace(b",", b"")) + len(tail) == len(whole)


def test_what_is_left_out_takes_no_room_on_the_disk_while_more_is_printed(tmp_path: Path) -> None:
    log = given_log(tmp_path / "log", 8 << 20)
    with log.open("ab") as printing:
        for _ in range(4):
            release_middle(log, LIMIT)
            assert disk_bytes(log) <= LIMIT + (1 << 16)
            printing.write(LINE * 20_000)
            printing.flush()
        printing.write(b"# the last words\n")
    text = b"".join(LogExcerpt(log, LIMIT).pieces())
    assert text.startswith(b"$ blender\n")
    assert text.endswith(LINE + b"# the last words\n")
    assert b"\0" not in text


def test_a_log_that_shrinks_under_our_hands_has_the_size_that_was_said(tmp_path: Path) -> None:
    log = given_log(tmp_path / "log", 3 << 20)
    excerpt = LogExcerpt(log, LIMIT)
    os.truncate(log, 100)
    assert sum(map(len, excerpt.pieces())) == excerpt.size


def test_a_file_that_pretends_to_be_endless_is_read_in_no_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    os.truncate(log, 1 << 43)
    release_middle(log, LIMIT)
    assert sum(map(len, LogExcerpt(log, LIMIT).pieces())) < 2 * LIMIT


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    settings = Settings(tmp_path / "data", worker=replace(QUICK, log_mb=1))
    farm = make_farm(tmp_path / "data", settings=settings, executor=FakeExecutor(behaviours={1: chatter}))
    yield farm
    close(farm)


def chatter(blender: FakeBlender, order: Mapping[str, Any]) -> None:
    """Prints until the log is cut, then 4 MB more, and is done."""
    log = Path(order["log"])

    def print_on() -> None:
        with log.open("ab", buffering=0) as file:
            while not blender.stopped.is_set() and not (log.stat().st_size > 20 << 20 and disk_bytes(log) < 5 << 20):
                if disk_bytes(log) < 32 << 20:
                    file.write(LINE * 10_000)
            file.write(LINE * 50_000 + b"# it is done\n")
        rendered(blender, order)

    threading.Thread(target=print_on, daemon=True).start()


@pytest.mark.slow
def test_a_frame_that_prints_more_than_the_disk_should_hold_is_cut_while_it_prints(farm: Farm) -> None:
    job = given_job(farm, "1")
    work_until(farm, job)
    (attempt,) = farm.repository.attempts.of_job(job.id)
    text = b"".join(kept_log(farm, attempt))
    assert text.startswith(b"$ ")
    assert text.endswith(LINE + b"# it is done\n")
    assert b"bytes are left out here" in text
    assert LIMIT // 2 < len(text) < LIMIT + 200


@pytest.mark.slow
def test_a_session_that_prints_beside_its_frames_is_cut_as_well(farm: Farm, tmp_path: Path) -> None:
    log = given_log(tmp_path / "session.log", 8 << 20)
    reporter = Reporter(farm, InFlight(), lambda: [log])
    reporter.start()
    wait_for(farm, lambda: disk_bytes(log) < 2 * LIMIT)
    reporter.stop()
    assert reporter.error is None


@pytest.mark.slow
def test_a_follower_reads_exactly_what_is_kept(farm: Farm) -> None:
    job = given_job(farm, "1")
    with at_work(farm):
        parts = list(follow(farm, ACTOR, job.id, stop=threading.Event()))
    (attempt,) = farm.repository.attempts.of_job(job.id)
    assert "".join(part.text for part in parts) == b"".join(kept_log(farm, attempt)).decode()


@pytest.fixture
def attempt(given: Farm) -> Attempt:
    """One that has ended, with a log of 5 MB of letters that are two bytes long, oddly placed."""
    job = given_job(given, "1")
    attempt = given.repository.attempts.claim(job.id, given_worker(given)).attempts[0]
    given.repository.attempts.start(attempt)
    given.store.put_log(attempt.id, [b"$", "ä".encode() * (5 << 19)])
    given.repository.attempts.complete(attempt, [], Cost())
    finish_job_if_done(given, job.id)
    return given.repository.attempts.get(attempt.id)


TEXT = "$" + "ä" * (5 << 19)


@pytest.mark.slow
def test_a_long_log_is_printed_whole(ctl: Any, attempt: Attempt) -> None:
    assert ctl("logs", attempt.job_id).out == TEXT
    parts = ctl("logs", attempt.job_id, "--json").document
    assert "".join(part["text"] for part in parts) == TEXT
    assert max(len(part["text"]) for part in parts) <= PIECE
    assert ctl("logs", attempt.job_id, "--follow").out.endswith(TEXT)


def test_nobody_who_reads_a_log_has_it_in_memory_as_a_whole(given: Farm, attempt: Attempt) -> None:
    parts = [part.text for part in logs(given, ACTOR, attempt.job_id)]
    follower = log_follower(given, ACTOR, attempt.job_id)
    followed: list[str] = []
    while not follower.over:
        followed += [part.text for part in follower.news()]
    for texts in (parts, followed):
        assert "".join(texts) == TEXT
        assert max(len(text.encode()) for text in texts) <= PIECE + 4


def test_a_range_of_a_log_is_read_from_its_beginning_or_its_end(given: Farm, attempt: Attempt) -> None:
    size = len(TEXT.encode())
    first = attempt_log(given, ACTOR, attempt.id, limit=5)
    assert (first.text, first.start, first.end, first.size) == ("$ää", 0, 5, size)
    last = attempt_log(given, ACTOR, attempt.id, start=-4)
    assert (last.text, last.start, last.end) == ("ää", size - 4, size)
    assert attempt_log(given, ACTOR, attempt.id, start=size + 7).text == ""
    assert attempt_log(given, ACTOR, attempt.id, start=-(10 * size), limit=1).text == "$"


def test_what_was_left_by_a_dead_worker_is_cut_too(farm: Farm) -> None:
    folder = farm.settings.data_dir / "scratch" / "w1" / "slot-0" / "logs"
    folder.mkdir(parents=True)
    given_log(folder / "attempt1.log", 5 << 20)
    work_off(farm)
    assert LIMIT // 2 < (farm.store.log_size("attempt1") or 0) < LIMIT + 200
