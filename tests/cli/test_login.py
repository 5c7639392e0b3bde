"""A machine that holds a token and no passwords."""

import io
import json
import os
import pty
import stat
import subprocess
import sys
import termios
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
import pytest

from renderctl.core.actors import Role
from renderctl.farm import Farm
from renderctl.farm.people.users import add_user
from tests.cli.conftest import Ctl, Said
from tests.farms import ACTOR, given_job
from tests.nodes import until
from tests.server.conftest import Served
from tests.server.live import listening

pytestmark = pytest.mark.slow
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


def test_after_a_login_every_command_goes_through_the_server(
    ctl: Ctl, given: Farm, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = given_job(given, "1-3")
    served = Served(given, None)  # type: ignore[arg-type]
    token = served.person("bob", Role.ARTIST, "default")["Authorization"].removeprefix("Bearer ")
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
        for words in (("worker",), ("init", "--admin", "ada")):
            said = ctl(*words)
            assert (said.code, "for nodes of the farm" in said.err) == (2, True)
        assert ctl("logout", "--json").document == {"url": url}
        assert ctl("status", job.id).code == 6
    assert not kept.exists()


def test_a_password_makes_a_token_that_is_kept_and_given_back(
    ctl: Ctl, given: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = given_job(given, "1-3")
    add_user(given, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    monkeypatch.setenv("RENDERCTL_DATA_DIR", str(tmp_path / "laptop"))
    with listening(given) as url:
        said = typed_in(ctl, monkeypatch, "guessed wrongly\n", "login", url, "--user", "ada", "--json")
        assert (said.code, said.document["error"]["code"]) == (7, "login_refused")
        assert typed_in(ctl, monkeypatch, "", "login", url, "--user", "ada").code == 2
        assert not list(tmp_path.glob("**/login.json"))
        said = typed_in(ctl, monkeypatch, f"{PASSWORD}\n", "login", f"{url}/", "--user", "ada", "--json")
        assert (said.document["name"], said.document["role"], said.document["url"]) == ("ada", "admin", f"{url}/")
        (kept,) = tmp_path.glob("**/login.json")
        assert PASSWORD not in kept.read_text()
        assert ctl("pause", job.id, "--json").document["state"] == "paused"
        (token,) = [each for each in ctl("tokens", "--json").document if each["user"] == "ada"]
        assert (token["scope"], token["revoked_at"]) == ("all", None)
        assert typed_in(ctl, monkeypatch, f"{PASSWORD}\n{PASSWORD} too\n", "users", "password", "ada").code == 0
        said = typed_in(ctl, monkeypatch, f"{PASSWORD}\nwhatever it is\n", "users", "password", "ada", "--json")
        assert said.document["error"]["code"] == "login_refused"
        assert ctl("logout").code == 0
    assert [each.revoked_at is not None for each in given.repository.tokens.all(user="ada")] == [True]


def test_a_second_factor_is_set_up_asked_for_at_a_login_and_taken_away(
    ctl: Ctl, given: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_user(given, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    login = ("login", "--user", "ada", "--json")
    with listening(given) as url:
        assert typed_in(ctl, monkeypatch, f"{PASSWORD}\n", *login, url).code == 0
        assert typed_in(ctl, monkeypatch, "wrong\n", "users", "totp", "enable", "ada").code == 7
        enrollment = typed_in(ctl, monkeypatch, f"{PASSWORD}\n", "users", "totp", "enable", "ada", "--json").document
        app, now = pyotp.TOTP(enrollment["secret"]), datetime.now(UTC)
        assert enrollment["uri"].startswith("otpauth://totp/renderctl:ada?")
        said = typed_in(ctl, monkeypatch, f"{app.at(now)}\n", "users", "totp", "confirm", "ada", "--json")
        codes = said.document["codes"]
        assert typed_in(ctl, monkeypatch, f"{PASSWORD}\n", *login, url).code == 2, "there is no code on standard input"
        said = typed_in(ctl, monkeypatch, f"{PASSWORD}\n{app.at(now)}\n", *login, url)
        assert said.document["error"]["code"] == "login_refused"
        for code in (app.at(now + timedelta(seconds=30)), codes[0]):
            assert typed_in(ctl, monkeypatch, f"{PASSWORD}\n{code}\n", *login, url).document["name"] == "ada"
        assert "9 recovery codes left" in ctl("users", "totp", "status", "ada").out
        assert typed_in(ctl, monkeypatch, f"{PASSWORD}\n", "users", "totp", "disable", "ada").code == 0
        assert ctl("users", "totp", "status", "ada").out == "ada has no second factor.\n"


def test_a_password_is_asked_for_on_a_terminal_and_not_shown(given: Farm, tmp_path: Path) -> None:
    add_user(given, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    with listening(given) as url:
        environment = {**os.environ, "HOME": str(tmp_path), "RENDERCTL_DATA_DIR": str(tmp_path / "laptop")}
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "renderctl", "login", url, "--user", "ada"]
        with subprocess.Popen(
            command, env=environment, start_new_session=True, stdin=theirs, stdout=theirs, stderr=theirs
        ) as login:
            os.close(theirs)
            said = ""
            while "Password" not in said:
                said += os.read(ours, 1024).decode()
            # what is typed between the prompt and this is thrown away
            until(lambda: not termios.tcgetattr(ours)[3] & termios.ECHO, 60, what="a terminal that shows nothing")
            os.write(ours, f"{PASSWORD}\n".encode())
            with suppress(OSError):  # how a terminal says that nobody is there any more
                while more := os.read(ours, 1024):
                    said += more.decode()
        os.close(ours)
        assert login.returncode == 0, said
    assert "Logged in as ada (admin)." in said
    assert PASSWORD not in said
    assert len(list(tmp_path.glob("**/login.json"))) == 1


def typed_in(ctl: Ctl, monkeypatch: pytest.MonkeyPatch, text: str, *words: str) -> Said:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return ctl(*words)


def test_a_server_that_is_away_is_a_service_out_of_reach(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDERCTL_SERVER__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("RENDERCTL_SERVER__TOKEN", "rctl_hush")
    said = ctl("jobs")
    assert said.code == 8
    assert "http://127.0.0.1:1 is out of reach: Connection refused." in said.err
    assert "hush" not in said.err


def test_a_token_that_is_not_valid_is_told_so(ctl: Ctl, given: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(given) as url:
        monkeypatch.setenv("RENDERCTL_SERVER__URL", url)
        assert ctl("jobs", "--json").document["error"]["code"] == "login_needed"
        monkeypatch.setenv("RENDERCTL_SERVER__TOKEN", "rctl_nonsense")
        said = ctl("jobs", "--json")
        assert (said.code, said.document["error"]["code"]) == (7, "token_refused")
