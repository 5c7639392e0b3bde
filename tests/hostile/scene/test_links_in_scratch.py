"""A session has put links where its worker is going to write."""

from pathlib import Path

from renderctl.blender.session import RenderPlan, Session, SessionTimeouts
from tests.blender.scripted import ScriptedBlender
from tests.fakes import FakeClock


def test_a_link_in_place_of_a_script_leads_nowhere(tmp_path: Path, clock: FakeClock) -> None:
    own = tmp_path / "profile"
    own.write_text("mine")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "render.py").symlink_to(own)
    ready = {"event": "ready", "version": "5.0.1", "engine": "CYCLES", "device": "CPU", "width": 64, "height": 36}
    blender = ScriptedBlender(clock, [{**ready, "extension": "png", "notes": []}])
    session = Session(blender, scratch, log=tmp_path / "log", clock=clock.monotonic)
    session.open(RenderPlan(Path("/scene.blend")), SessionTimeouts(start_s=100.0, stall_s=10.0, frame_s=50.0))
    assert own.read_text() == "mine"
    assert "scene.blend" in (scratch / "render.py").read_text()
