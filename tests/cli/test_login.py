"""A machine that holds a token and no passwords."""

import io
import json
import stat

import pytest

from renderctl.actors import Role
from tests.farms import given_job
from tests.server.conftest import Served
from tests.server.live import listening

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


def test_after_a_login_every_command_goes_through_the_server(ctl, given, data_dir, tmp_path, monkeypatch):
    job = given_job(given, "1-3")
    token = Served(given, None).person("bob", Role.ARTIST, "default")["Authorization"].removeprefix("Bearer ")
    monkeypatch.setenv("RENDERCTL_DATA_DIR", str(tmp_path / "laptop"))
    with listening(given) as url:
        assert ctl("status", job.id).code == 6
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{token}\n"))
        done = ctl("login", url, "--token-stdin", "--json").document
        assert (done["name"], done["role"]) == ("bob", "artist")
        (kept,) = tmp_path.glob("**/login.json")
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert json.loads(kept.read_text())["url"] == url
        assert ctl("status", job.id, "--json").document["id"] == job.id
        assert ctl("cancel", job.id).code == 7  # it is another's
        said = ctl("worker")
        assert (said.code, "for nodes of the farm" in said.err) == (2, True)
        assert ctl("logout", "--json").document == {"url": url}
        assert ctl("status", job.id).code == 6
    assert not kept.exists()


def test_a_server_that_is_away_is_a_service_out_of_reach(ctl, monkeypatch):
    monkeypatch.setenv("RENDERCTL_SERVER__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("RENDERCTL_SERVER__TOKEN", "rctl_hush")
    said = ctl("jobs")
    assert said.code == 8
    assert "http://127.0.0.1:1 is out of reach: Connection refused." in said.err
    assert "hush" not in said.err


def test_a_token_that_is_not_valid_is_told_so(ctl, given, monkeypatch):
    with listening(given) as url:
        monkeypatch.setenv("RENDERCTL_SERVER__URL", url)
        assert ctl("jobs", "--json").document["error"]["code"] == "login_needed"
        monkeypatch.setenv("RENDERCTL_SERVER__TOKEN", "rctl_nonsense")
        said = ctl("jobs", "--json")
        assert (said.code, said.document["error"]["code"]) == (7, "token_refused")
