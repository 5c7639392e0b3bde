"""Users, projects, tokens and the audit log: what the commands say is the same, directly and through a server."""

import io
from pathlib import Path

import pytest

from renderctl.core.actors import Role
from renderctl.farm import Farm
from tests.cli.conftest import Ctl
from tests.farms import ACTOR, given_job

EITHER_WAY = True
PASSWORD = "correct horse battery"


def test_users_are_added_changed_and_listed(ctl: Ctl, given: Farm) -> None:
    assert ctl("projects", "add", "film", "--json").code == 0
    added = ctl("users", "add", "bob", "--project", "film", "--json").document
    assert (added["name"], added["role"], added["projects"]) == ("bob", "artist", ["film"])
    assert ctl("users", "add", "bob").code == 9
    assert ctl("users", "add", "eve", "--project", "nope").code == 6
    assert ctl("users", "role", "bob", "operator", "--json").document["role"] == "operator"
    assert ctl("users", "disable", "bob", "--json").document["disabled_at"] is not None
    assert ctl("users", "enable", "bob", "--json").document["disabled_at"] is None
    assert ctl("users", "role", "nobody", "viewer").code == 6
    assert "bob" in [each["name"] for each in ctl("users", "list", "--json").document]
    assert "operator" in ctl("users").out


def test_whoever_is_invited_has_a_code(ctl: Ctl, given: Farm) -> None:
    invited = ctl("users", "invite", "--role", "viewer", "--expires", "1", "--json").document
    assert invited["invitation"]["role"] == "viewer"
    assert ctl("users", "invite").out.startswith(invited["code"].partition("_")[0])


def test_open_invitations_are_listed_and_withdrawn(ctl: Ctl, given: Farm) -> None:
    made = ctl("users", "invite", "--role", "viewer", "--project", "default", "--json").document
    assert ctl("users", "invitations", "--json").document == [made["invitation"]]
    shown = ctl("users", "invitations").out
    assert all(each in shown for each in (made["invitation"]["id"], "viewer", made["invitation"]["created_by"]))
    assert made["code"] not in shown
    assert "is withdrawn" in ctl("users", "withdraw", made["invitation"]["id"]).out
    assert "No invitation is open" in ctl("users", "invitations").out
    assert ctl("users", "withdraw", "nope").code == 6


def test_projects_have_pools_and_members(ctl: Ctl, given: Farm) -> None:
    given.repository.users.add("bob", Role.ARTIST, (), password=None, actor=ACTOR)
    assert ctl("projects", "add", "film", "--pool", "gpu", "--json").document["pools"] == ["gpu"]
    assert ctl("projects", "pools", "film", "gpu", "cpu", "--json").document["pools"] == ["gpu", "cpu"]
    assert "bob" in ctl("projects", "join", "film", "bob", "--json").document["members"]
    assert "bob" not in ctl("projects", "leave", "film", "bob", "--json").document["members"]
    assert ctl("projects", "join", "nope", "bob").code == 6
    assert "film" in ctl("projects").out


def test_quota_says_what_is_used_and_allowed(ctl: Ctl, given: Farm) -> None:
    me = ctl("whoami", "--json").document["name"]
    job = given_job(given, "1-5")
    (mine, *_) = ctl("quota", "--json").document
    assert (mine["kind"], mine["name"]) == ("user", me)
    (theirs,) = ctl("quota", "--project", job.project, "--json").document
    assert (theirs["tasks"], theirs["incoming_bytes"]) == ({"used": 5, "allowed": 10_000_000}, None)
    assert "5 of 10,000,000" in ctl("quota", "--project", job.project).out
    (owner,) = ctl("quota", "--user", job.owner, "--json").document
    assert owner["jobs"] == {"used": 1, "allowed": 1000}
    assert ctl("quota", "--user", "nobody").code == 6
    assert ctl("quota", "--project", "nothing").code == 6


def test_tokens_are_made_listed_and_revoked(ctl: Ctl, given: Farm) -> None:
    assert ctl("users", "add", "cy").code == 0
    made = ctl("tokens", "create", "ci", "--user", "cy", "--scope", "read", "--days", "0", "--json").document
    assert made["secret"].startswith("rctl_")
    assert (made["token"]["scope"], made["token"]["expires_at"]) == ("read", None)
    assert [each["id"] for each in ctl("tokens", "list", "cy", "--json").document] == [made["token"]["id"]]
    assert made["secret"] not in ctl("tokens").out
    assert "is revoked" in ctl("tokens", "revoke", made["token"]["id"]).out
    assert ctl("tokens", "revoke", "nope").code == 6


def test_log_ins_from_browsers_are_listed_and_ended(ctl: Ctl, given: Farm) -> None:
    for name in ("cy", "di"):
        assert ctl("users", "add", name).code == 0
    sessions = given.repository.sessions
    opened = [
        sessions.open(name, f"{number}{name}", "hush-hush", lasts_s=3600.0, address="192.0.2.7").session or ""
        for number, name in enumerate(["cy", "cy", "cy", "di"])
    ]
    listed = ctl("sessions", "list", "cy", "--json").document
    assert {each["id"] for each in listed} == set(opened[:3])
    assert {(each["address"], each["seen_at"], each["present"]) for each in listed} == {("192.0.2.7", None, False)}
    shown = ctl("sessions")
    assert all(each in shown.out for each in opened)
    assert "hush-hush" not in shown.out + str(listed)
    assert f"Session {opened[0]} of cy is ended." in ctl("sessions", "end", opened[0]).out
    assert ctl("sessions", "end", opened[0]).code == 6
    ended = ctl("sessions", "end", "--all", "--user", "cy", "--json").document
    assert {each["id"] for each in ended} == set(opened[1:3])
    assert [each["id"] for each in ctl("sessions", "--json").document] == [opened[3]]
    for words in ((), (opened[3], "--all"), (opened[3], "--user", "di")):
        assert ctl("sessions", "end", *words).code == 2


def test_whoami_says_who_one_is(ctl: Ctl, given: Farm) -> None:
    assert ctl("whoami", "--json").document["role"] == "admin"
    assert "admin" in ctl("whoami").out


def test_who_did_what_is_told_and_verified(ctl: Ctl, given: Farm) -> None:
    job = given_job(given, "1")
    assert ctl("cancel", job.id).code == 0
    (entry,) = ctl("audit", "--job", job.id, "--action", "job.cancel", "--json").document
    assert (entry["action"], entry["subject"], entry["outcome"]) == ("job.cancel", job.id, "done")
    assert ctl("audit", "--refused", "--json").document == []
    assert "job.cancel" in ctl("audit", "--since", "1h", "--limit", "5").out
    assert ctl("audit", "--until", "2000-01-01", "--json").document == []
    assert ctl("audit", "verify", "--json").document["problems"] == []


def test_a_priority_is_changed(ctl: Ctl, given: Farm) -> None:
    job = given_job(given, "1")
    assert ctl("priority", job.id, "9", "--json").document["priority"] == 9
    assert ctl("priority", job.id, "11").code == 9


@pytest.mark.slow
def test_another_gets_a_password_that_nobody_sees(ctl: Ctl, given: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    said = ctl("users", "add", "bob", "--password")
    assert (said.code, PASSWORD in said.out + said.err) == (0, False)
    monkeypatch.setattr("sys.stdin", io.StringIO("another horse battery\n"))
    assert ctl("users", "password", "bob").code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert ctl("users", "password", "bob").code == 2


@pytest.mark.directly
def test_the_key_of_the_audit_log_is_replaced_and_all_of_it_verifies(ctl: Ctl, data_dir: Path) -> None:
    assert ctl("users", "add", "bob").code == 0
    rotated = ctl("audit", "rotate-key", "--json").document
    assert set(rotated) == {"key", "former"}
    assert {each.name for each in data_dir.glob("audit.key*")} == {"audit.key", "audit.key.1"}
    assert ctl("users", "disable", "bob").code == 0
    (told,) = ctl("audit", "--action", "audit.rotate", "--json").document
    assert (told["details"], told["outcome"]) == (rotated, "done")
    assert ctl("audit", "verify", "--json").document["problems"] == []
    assert rotated["key"] in ctl("audit", "--action", "audit").out
