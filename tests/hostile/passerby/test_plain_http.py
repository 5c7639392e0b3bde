"""Who sends a token over plain HTTP to another machine is told that everybody on the way can read it."""

import io
import sys

import pytest

from tests.cli.conftest import Ctl

FAR = "http://farm.invalid:8650"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("rctl_0123456789\n"))


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--token-stdin",), ("--user", "ada")])
def test_whoever_logs_in_without_tls_is_warned_before_anything_is_sent(
    ctl: Ctl, typed: None, words: tuple[str, ...]
) -> None:
    said = ctl("login", FAR, *words, "--quiet")
    assert said.code == 8
    assert said.err.index(f"Warning: {FAR} is not encrypted.") < said.err.index("Error:")


@pytest.mark.slow
def test_every_command_that_sends_a_token_says_so(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDERCTL_SERVER__URL", FAR)
    monkeypatch.setenv("RENDERCTL_SERVER__TOKEN", "rctl_0123456789")
    assert f"Warning: {FAR} is not encrypted." in ctl("jobs").err
    said = ctl("jobs", "--quiet", "--json")
    assert "Warning" not in said.err
    assert said.document["error"]["code"] == "server_unavailable"


@pytest.mark.slow
def test_nothing_is_said_of_a_server_on_this_machine(ctl: Ctl, typed: None) -> None:
    assert "Warning" not in ctl("login", "http://127.0.0.1:1", "--token-stdin").err
