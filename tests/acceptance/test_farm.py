"""The farm from the command line: real processes, a real Blender."""

import json
import signal
from pathlib import Path

import pytest

from renderctl.decoder.pixels import verify
from tests.nodes import Site, until

pytestmark = pytest.mark.blender
EITHER_WAY = True


def submitted(site: Site, scene: Path, *options: str) -> str:
    done = site.run("submit", str(scene), *options, "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["id"])


def status(site: Site, job_id: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(site.run("status", job_id, "--json").stdout)
    return document


def test_two_workers_render_what_was_submitted_and_watch_sees_the_end(site: Site, scene: Path, tmp_path: Path) -> None:
    job_id = submitted(site, scene, "-f", "1-20")
    workers = [site.start_worker("w1"), site.start_worker("w2")]
    watched = site.run("watch", job_id, "--json")
    documents = [json.loads(line) for line in watched.stdout.splitlines()]
    assert watched.returncode == 0
    assert documents[-1]["state"] == "succeeded"
    assert [each["progress"] for each in documents] == sorted(each["progress"] for each in documents)
    assert [worker.end() for worker in workers] == [0, 0]
    assert site.run("download", job_id, "-o", str(tmp_path / "out")).returncode == 0
    images = sorted((tmp_path / "out" / "quick").glob("*.png"))
    assert [image.name for image in images] == [f"{frame:04d}.png" for frame in range(1, 21)]
    for image in images:
        verify(image, width=64, height=64)


def test_a_blender_that_is_killed_costs_one_attempt_and_no_frame(site: Site, scene: Path) -> None:
    job_id = submitted(site, scene, "-f", "1-4", "--samples", "1500")
    worker = site.start_worker("w1")
    until(lambda: any(worker.blenders), 60, what="a Blender")
    until(lambda: status(site, job_id)["state"] == "running", 60, what="a running job")
    assert worker.kill_blender()
    watched = site.run("watch", job_id)
    assert watched.returncode == 0, watched.stderr
    assert "killed" in site.run("logs", job_id, "--task", "1").stdout
    assert worker.end() == 0
    until(lambda: not site.blenders(), 10, what="no Blender left")


@pytest.mark.directly
def test_two_renders_of_one_scene_at_once_do_not_get_in_each_others_way(
    site: Site, scene: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    renders = [site.start(name, "render", str(scene), "-f", "1-5", "-o", str(out)) for name in ("one", "two")]
    for render in renders:
        assert render.process.wait(120) == 0, render.log.read_text()
    assert sorted(len(list(folder.glob("*.png"))) for folder in out.iterdir()) == [5, 5]


def test_a_killed_render_is_gone_on_with_by_another(site: Site, scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("render", str(scene), "-f", "1-20", "--samples", "100", "-o", str(out))
    render = site.start("render", *words)
    until(lambda: len(list(out.rglob("*.png"))) > 1 or not render.alive, 60, what="a few frames")
    render.kill()
    (job,) = json.loads(site.run("jobs", "--json").stdout)
    again = site.run("render", "--job", job["id"], "-o", str(out))
    assert again.returncode == 0, again.stderr
    assert len(list((out / "quick").glob("*.png"))) == 20


def test_a_worker_is_drained_resumed_and_ended_by_signals(site: Site) -> None:
    def state() -> str:
        return "".join(each["state"] for each in json.loads(site.run("workers", "--json").stdout))

    worker = site.start_worker("w1")
    until(lambda: state() == "active", 60, what="a worker at work")
    worker.process.send_signal(signal.SIGUSR1)
    until(lambda: state() == "draining", 30, what="a worker that drains")
    worker.process.send_signal(signal.SIGUSR2)
    until(lambda: state() == "active", 30, what="a worker that goes on")
    assert worker.end() == 0
    assert state() == ""
