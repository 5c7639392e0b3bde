"""Receivers are told: signed, at least once, whatever they do, and never one inside the farm's own network."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from renderctl.core.errors import InvalidInput, UsageError
from renderctl.core.settings import WebhookSettings
from renderctl.core.webhooks import Delivery, DeliveryState
from renderctl.farm import Farm
from renderctl.farm.jobs.control import cancel
from renderctl.farm.people.secrets import SIGNING_PREFIX
from renderctl.farm.webhooks.dispatcher import WebhookDispatcher
from renderctl.farm.webhooks.http_post import post
from renderctl.farm.webhooks.registrations import NewWebhook, add_webhook, list_deliveries, ping, resend
from renderctl.repository.schema.webhooks import deliveries
from tests.certificates import own_certificate
from tests.fake_blender import FakeExecutor, failing
from tests.farms import ACTOR, close, given_job, make_farm, quick_settings, wait_for, work_off
from tests.receivers import Receiver, receiving

HERE = WebhookSettings(allow=("127.0.0.1/32",), timeout=0.5)
HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "webhooks.md"


@pytest.fixture
def farm(tmp_path: Path, executor: FakeExecutor) -> Iterator[Farm]:
    """A farm that may tell receivers on this machine."""
    settings = replace(quick_settings(tmp_path), webhooks=HERE)
    farm = make_farm(tmp_path, settings=settings, executor=executor)
    yield farm
    close(farm)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@contextmanager
def told(farm: Farm, name: str = "teller") -> Iterator[None]:
    """Somebody who tells, for as long as the context."""
    teller = WebhookDispatcher(farm, name)
    teller.start()
    yield
    teller.stop()
    assert teller.error is None


@pytest.fixture
def telling(farm: Farm) -> Iterator[None]:
    with told(farm):
        yield


def added(farm: Farm, receiver: Receiver, *events: str, job: str | None = None) -> NewWebhook:
    project = None if job else "default"
    return add_webhook(farm, ACTOR, receiver.url, job=job, project=project, events=events)


def canceled(farm: Farm) -> str:
    """A job that was canceled: one event."""
    return cancel(farm, ACTOR, given_job(farm, "1").id).id


def listed(farm: Farm, state: DeliveryState | None = None) -> list[Delivery]:
    return [each for each in list_deliveries(farm, ACTOR) if state in (None, each.state)]


def documented() -> Any:
    """The receiver's function of the how-to."""
    found = re.search(r"```python\n(.*?)```", HOWTO.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(found[1], names)
    return names["verified"]


def test_a_worker_tells_of_frames_and_of_the_end_in_their_order_before_it_leaves(
    farm: Farm, receiver: Receiver
) -> None:
    added(farm, receiver)
    job = given_job(farm, "1-2")
    work_off(farm)
    assert receiver.events == ["output.published", "output.published", "job.succeeded"]
    last = receiver.heard[-1].said
    assert (last["event"], last["job"]["id"], last["job"]["state"]) == ("job.succeeded", job.id, "succeeded")
    assert (last["job"]["tasks"]["succeeded"], last["job"]["outputs"]) == (2, 2)
    first = receiver.heard[0].said
    assert (first["output"]["name"], first["task"]["frame"], first["job"]["state"]) == ("0001.png", 1, "running")
    assert first["farm"] is None


def test_a_failed_frame_is_told_with_its_reason(farm: Farm, receiver: Receiver, executor: FakeExecutor) -> None:
    executor.behaviours[1] = failing("scene", "The image wood.png is missing.")
    added(farm, receiver, "task.failed", "job.failed")
    given_job(farm, "1")
    work_off(farm)
    wait_for(farm, lambda: len(receiver.heard) == 2)
    task, job = (each.said for each in receiver.heard)
    assert (task["task"]["error"], task["task"]["attempts"]) == ("The image wood.png is missing.", 1)
    assert (job["job"]["state"], job["job"]["error"]) == ("failed", "The image wood.png is missing.")


def test_the_documented_receiver_knows_who_has_sent_it(farm: Farm, receiver: Receiver, telling: None) -> None:
    new, verified = added(farm, receiver), documented()
    assert new.secret.startswith(SIGNING_PREFIX)
    job_id = canceled(farm)
    wait_for(farm, lambda: receiver.heard)
    (heard,) = receiver.heard
    header = heard.headers["renderctl-signature"]
    event = verified(heard.body, header, new.secret)
    assert (event["id"], event["event"], event["job"]["id"]) == (heard.id, "job.canceled", job_id)
    for body, shown, secret, tolerance_s in (
        (heard.body + b" ", header, new.secret, 300),
        (heard.body, header.replace("t=1", "t=2"), new.secret, 1e10),
        (heard.body, header, new.secret + "x", 300),
        (heard.body, header, new.secret, -1),
    ):
        with pytest.raises(PermissionError):
            verified(body, shown, secret, tolerance_s)


def test_what_fails_is_sent_again_as_it_was_under_the_same_id(farm: Farm, receiver: Receiver, telling: None) -> None:
    added(farm, receiver)
    receiver.status, receiver.answer = 500, b"not\x1b[2J now"
    canceled(farm)
    wait_for(farm, lambda: listed(farm)[0].tries == 1)
    (waiting,) = listed(farm)
    assert (waiting.state, waiting.status, waiting.error) == ("waiting", 500, "answered 500")
    assert waiting.due_at is not None
    receiver.status = 204
    resend(farm, ACTOR, waiting.id[:-2])
    wait_for(farm, lambda: listed(farm, DeliveryState.DELIVERED))
    assert len({each.id for each in receiver.heard}) == 1
    assert len({each.body for each in receiver.heard}) == 1


@pytest.mark.parametrize(
    ("status", "state", "error"),
    [
        (302, "waiting", "answered 302; redirects are not followed"),
        (307, "waiting", "answered 307; redirects are not followed"),
        (404, "waiting", "answered 404"),
        (410, "undeliverable", "answered 410"),
    ],
)
def test_only_a_success_is_one(
    farm: Farm, receiver: Receiver, telling: None, status: int, state: str, error: str
) -> None:
    with receiving() as elsewhere:
        receiver.status, receiver.headers = status, {"Location": elsewhere.url}
        added(farm, receiver)
        canceled(farm)
        wait_for(farm, lambda: listed(farm)[0].tries)
        assert [(each.state, each.error) for each in listed(farm)] == [(state, error)]
        assert elsewhere.heard == []


def test_one_that_hangs_is_given_up_and_holds_nobody_else(farm: Farm, receiver: Receiver, telling: None) -> None:
    let_go = threading.Event()
    with receiving() as slow:
        slow.on_heard = lambda _heard: let_go.wait(30)
        added(farm, slow)
        added(farm, receiver)
        for _ in range(5):
            canceled(farm)
        wait_for(farm, lambda: len(receiver.heard) == 5)
        wait_for(farm, lambda: any(each.error == "no answer within 0.5 s" for each in listed(farm)))
        assert len(slow.heard) < 5
        let_go.set()


def test_one_that_dribbles_is_cut_off(farm: Farm) -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def dribble() -> None:
            wire, _ = listener.accept()
            with wire, suppress(OSError):
                while not stop.wait(0.05):
                    wire.sendall(b"H")

        thread = threading.Thread(target=dribble)
        thread.start()
        tried = post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"{}", {}, HERE)
        stop.set()
        thread.join()
    assert (tried.status, tried.error, tried.final) == (None, "no answer within 0.5 s", False)


def test_nobody_who_answers_nonsense_is_an_error_of_ours(receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            wire, _ = listener.accept()
            with wire:
                wire.recv(65536)
                wire.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        nonsense = post(f"http://127.0.0.1:{port}/", b"{}", {}, HERE)
        thread.join()
    refused = post(f"http://127.0.0.1:{port}/", b"{}", {}, HERE)
    unknown = post("http://no-such-host.invalid/", b"{}", {}, HERE)
    no_tls = post(receiver.url.replace("http:", "https:"), b"{}", {}, HERE)
    assert nonsense.error == "it does not answer as HTTP does (BadStatusLine)"
    assert refused.error == "Connection refused"
    assert unknown.error is not None
    assert unknown.error.startswith("its name is not known")
    assert no_tls.error is not None
    assert not any(each.final for each in (nonsense, refused, unknown, no_tls))


def test_a_certificate_has_to_be_the_hosts_own(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key, certificate = own_certificate("127.0.0.1")
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "certificate.pem").write_bytes(certificate)
    allowed = replace(HERE, allow=("127.0.0.1", "localhost"), timeout=5.0)
    with receiving(tls=(tmp_path / "certificate.pem", tmp_path / "key.pem")) as secure:
        stranger = post(secure.url, b"{}", {}, allowed)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        known = post(secure.url, b"{}", {}, allowed)
        another = post(secure.url.replace("127.0.0.1", "localhost"), b"{}", {}, allowed)
    assert (known.status, known.error) == (200, None)
    assert stranger.error is not None
    assert stranger.error.startswith("its certificate is not valid")
    assert another.error is not None
    assert "localhost" in another.error
    assert len(secure.heard) == 1


def test_a_webhook_is_about_one_thing(farm: Farm, receiver: Receiver) -> None:
    for about in ({}, {"job": "a", "project": "default"}):
        with pytest.raises(UsageError):
            add_webhook(farm, ACTOR, receiver.url, **about)
    with pytest.raises(InvalidInput):
        added(farm, receiver, "job.done")


def test_a_ping_is_sent_at_once_and_what_came_of_it_is_kept(farm: Farm, receiver: Receiver) -> None:
    new = added(farm, receiver)
    taken = ping(farm, ACTOR, new.webhook.id)
    assert (taken.state, taken.status, taken.answer) == ("delivered", 200, "thank you")
    assert (receiver.heard[0].said["event"], receiver.heard[0].said["job"]) == ("ping", None)
    receiver.status = 503
    assert ping(farm, ACTOR, new.webhook.id).state == "undeliverable"
    resend(farm, ACTOR, listed(farm)[0].id)
    receiver.status = 200
    with told(farm):
        wait_for(farm, lambda: not listed(farm, DeliveryState.UNDELIVERABLE))
    assert [each.state for each in listed(farm)] == ["delivered", "delivered"]


def test_a_job_that_was_removed_is_told_of_with_what_was_known(farm: Farm, receiver: Receiver) -> None:
    added(farm, receiver)
    job_id = canceled(farm)
    farm.repository.jobs.remove(job_id, actor=ACTOR)
    while farm.repository.recovery.delete_removed_batch():
        pass
    with told(farm):
        wait_for(farm, lambda: receiver.heard)
    assert receiver.heard[0].said["job"]["state"] == "canceled"
    assert receiver.heard[0].said["job"]["id"] == job_id


@pytest.mark.slow
def test_two_tellers_tell_everything_once(farm: Farm, receiver: Receiver) -> None:
    added(farm, receiver)
    for _ in range(20):
        canceled(farm)
    with told(farm, "one"), told(farm, "two"):
        wait_for(farm, lambda: len(listed(farm, DeliveryState.DELIVERED)) == 20)
    assert len(receiver.heard) == len({each.id for each in receiver.heard}) == 20


def test_what_nobody_has_foreseen_holds_up_its_own_receiver_alone_and_loses_nothing(
    farm: Farm, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    job = given_job(farm, "1")
    added(farm, receiver, "job.canceled", job=job.id)
    cancel(farm, ACTOR, job.id)
    nonsense = deliveries.update().values(told=["nonsense"])
    farm.repository.database.write(lambda connection: connection.execute(nonsense).rowcount)
    with told(farm):
        wait_for(farm, lambda: "is told nothing more" in caplog.text)
        added(farm, receiver)
        canceled(farm)
        wait_for(farm, lambda: len(receiver.heard) == 1)
    assert [each.state for each in listed(farm)] == [DeliveryState.DELIVERED, DeliveryState.WAITING]


def test_a_machine_that_shall_not_send_does_not(farm: Farm, receiver: Receiver) -> None:
    added(farm, receiver)
    canceled(farm)
    silent = replace(farm, settings=replace(farm.settings, webhooks=replace(HERE, send=False)))
    work_off(silent)
    assert (receiver.heard, [each.tries for each in listed(farm)]) == ([], [0])


@pytest.mark.slow
def test_who_is_killed_between_sending_and_noting_it_sends_again_under_the_same_id(
    farm: Farm, receiver: Receiver
) -> None:
    added(farm, receiver)
    for _ in range(3):
        canceled(farm)
    heard, reaped = threading.Event(), threading.Event()

    def wait(_heard: object) -> None:
        if not reaped.is_set():
            heard.set()
            reaped.wait(30)  # it is answered when nobody notes it any more

    receiver.on_heard = wait
    code = (
        "import sys, threading; from dataclasses import replace; from pathlib import Path\n"
        "from tests.farms import make_farm, quick_settings\n"
        "from renderctl.farm.webhooks.dispatcher import WebhookDispatcher\n"
        "from renderctl.core.settings import WebhookSettings; folder = Path(sys.argv[1])\n"
        "hooks = WebhookSettings(allow=('127.0.0.1/32',), timeout=60)\n"
        "farm = make_farm(folder, settings=replace(quick_settings(folder), webhooks=hooks))\n"
        "WebhookDispatcher(farm, 'victim').start(); threading.Event().wait()\n"
    )
    victim = subprocess.Popen([sys.executable, "-c", code, str(farm.settings.data_dir)])
    try:
        assert heard.wait(60)
    finally:
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        reaped.set()
    assert [each.state for each in listed(farm)] == ["waiting"] * 3
    with told(farm):
        wait_for(farm, lambda: len(listed(farm, DeliveryState.DELIVERED)) == 3)
    ids = [each.id for each in receiver.heard]
    assert (len(ids), len(set(ids)), ids[1]) == (4, 3, ids[0])
