"""What one `render` costs beside its frames: one Blender, two looks at the scene, a few transactions."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from renderctl.core.settings import BlenderSettings
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.farm.jobs.submit import SubmitRequest
from renderctl.farm.prewarm import prewarm
from renderctl.farm.render import RenderRequest, render
from tests.fake_blender import FakeExecutor
from tests.farms import ACTOR, FACTS, close, make_farm, quick_settings


def facts() -> dict[str, Any]:
    document = FACTS.as_document()
    del document["relocations"], document["dependencies"]
    return document | {"files": []}


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """The farm of a machine with a Blender of its own."""
    program = tmp_path / "bin/blender"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'Blender 5.0.1'\n")
    program.chmod(0o755)
    settings = replace(quick_settings(tmp_path / "data"), blender=BlenderSettings(paths=(str(program),)))
    farm = make_farm(tmp_path / "data", settings=settings, executor=FakeExecutor(looks=lambda _scene, _folder: facts()))
    yield farm
    close(farm)


def rendered(farm: Farm, scene: Path, frames: str) -> Any:
    scene.write_bytes(b"BLENDER17-01v0500 and so on")
    request = RenderRequest(
        scene.parent / "images",
        str(scene),
        submit=SubmitRequest(frames=frames),
        standby=prewarm(farm, str(scene)),
    )
    return render(farm, ACTOR, request, stop=threading.Event())


def test_one_blender_looks_at_the_scene_and_renders_it(farm: Farm, tmp_path: Path) -> None:
    done = rendered(farm, tmp_path / "shot.blend", "1-5")
    assert done.document["state"] == JobState.SUCCEEDED
    assert len(list(done.folder.glob("*.png"))) == 5
    assert isinstance(farm.executor, FakeExecutor)
    (blender,) = farm.executor.started
    assert blender.opened == 1
    assert blender.stopped.is_set()


@pytest.mark.slow
def test_a_render_takes_few_transactions(farm: Farm, tmp_path: Path) -> None:
    threads: list[str] = []

    def begun(connection: Connection) -> None:
        if not connection.get_execution_options().get("reads"):
            threads.append(threading.current_thread().name)

    rendered(farm, tmp_path / "shot.blend", "1")  # the farm has the scene from now on
    event.listen(farm.repository.database.engine, "begin", begun)
    rendered(farm, tmp_path / "shot.blend", "1-3")
    ours = [name for name in threads if name in ("MainThread", "slot-0", "publisher")]
    assert len(ours) <= 16, ours
