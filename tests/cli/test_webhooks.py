"""`renderctl webhooks`: set, tried, listed, sent again, removed; directly, and through a server."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.settings import Settings, WebhookSettings
from renderctl.farm import Farm
from renderctl.farm.webhooks.dispatcher import WebhookDispatcher
from tests.cli.conftest import Ctl
from tests.farms import ACTOR, close, given_job, make_farm, wait_for
from tests.receivers import Receiver, receiving

EITHER_WAY = True
HERE = WebhookSettings(allow=("127.0.0.1",), timeout=2.0)


@pytest.fixture
def given(data_dir: Path) -> Iterator[Farm]:
    """A farm that may tell receivers on this machine; so may what `ctl` starts."""
    farm = make_farm(data_dir, settings=replace(Settings(data_dir), webhooks=HERE))
    yield farm
    close(farm)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def hooks(ctl: Ctl, given: Farm, monkeypatch: pytest.MonkeyPatch) -> Ctl:
    """`renderctl webhooks`, on a machine whose admin allows receivers on it."""
    monkeypatch.setenv("RENDERCTL_WEBHOOKS__ALLOW", "127.0.0.1")
    return lambda *words: ctl("webhooks", *words)


def test_a_webhook_is_added_tried_listed_and_removed(hooks: Ctl, given: Farm, receiver: Receiver) -> None:
    job = given_job(given, "1")
    assert hooks().out.startswith("There are no webhooks.")
    added = hooks("add", receiver.url, "--job", job.id, "--event", "job.failed", "--json").document
    webhook, secret = added["webhook"]["id"], added["secret"]
    assert (added["webhook"]["job"], added["webhook"]["events"]) == (job.id, ["job.failed"])
    tried = hooks("test", webhook, "--json")
    assert (tried.code, tried.document["state"], tried.document["status"]) == (0, "delivered", 200)
    assert receiver.events == ["ping"]
    for words in (("list",), ("deliveries",), ("deliveries", webhook[:-1]), ()):
        said = hooks(*words)
        assert webhook in said.out
        assert secret not in said.out + said.err
    assert secret not in hooks("list", "--json").out
    assert hooks("rm", webhook).out == f"Webhook {webhook} is removed.\n"
    assert hooks("list", "--json").document == []
    assert hooks("rm", webhook).code == 6


def test_the_secret_alone_is_printed_for_scripts(hooks: Ctl, receiver: Receiver) -> None:
    said = hooks("add", receiver.url, "--project", "default")
    assert said.out.startswith("rctlw_")
    assert len(said.out.split()) == 1
    assert "is told of project default" in said.err


@pytest.mark.slow
def test_what_could_not_be_told_is_listed_and_sent_again(hooks: Ctl, given: Farm, receiver: Receiver) -> None:
    hooks("add", receiver.url, "--project", "default")
    receiver.status, receiver.answer = 410, b"we have moved"
    given.repository.jobs.cancel(given_job(given, "1").id, actor=ACTOR)
    teller = WebhookDispatcher(given, "teller")
    teller.start()
    wait_for(given, lambda: hooks("deliveries", "--undeliverable", "--json").document)
    (delivery,) = hooks("deliveries", "--undeliverable", "--json").document
    assert (delivery["event"], delivery["error"]) == ("job.canceled", "answered 410")
    assert "answered 410: we have moved" in hooks("deliveries").out
    receiver.status = 200
    again = hooks("resend", delivery["id"], "--json").document
    assert (again["id"], again["state"]) == (delivery["id"], "waiting")
    wait_for(given, lambda: hooks("deliveries", "--json").document[0]["state"] == "delivered")
    teller.stop()
    assert receiver.events == ["job.canceled"] * 2
    assert len({each.id for each in receiver.heard}) == 1


def test_a_receiver_that_does_not_take_a_ping_is_exit_code_8(hooks: Ctl, receiver: Receiver) -> None:
    hooks("add", receiver.url, "--project", "default")
    webhook = hooks("list", "--json").document[0]["id"]
    receiver.status = 500
    said = hooks("test", webhook, "--json")
    assert (said.code, said.document["state"], said.document["error"]) == (8, "undeliverable", "answered 500")


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("http://[::1]:6379/", "--project", "default"), 7, "not_allowed"),
        (("http://169.254.169.254/latest", "--project", "default"), 7, "not_allowed"),
        (("ftp://ci.example.org/", "--project", "default"), 9, "invalid_input"),
        (("https://93.184.215.14/", "--project", "no-such"), 6, "not_found"),
        (("https://93.184.215.14/", "--job", "no-such"), 6, "not_found"),
        (("https://93.184.215.14/",), 2, "usage_error"),
        (("https://93.184.215.14/", "--job", "a", "--project", "b"), 2, "usage_error"),
        (("https://93.184.215.14/", "--project", "default", "--event", "job.done"), 2, "usage_error"),
    ],
)
def test_what_can_not_be_a_webhook_is_refused(hooks: Ctl, words: tuple[str, ...], code: int, error: str) -> None:
    said = hooks("add", *words, "--json")
    assert (said.code, said.document["error"]["code"]) == (code, error)
