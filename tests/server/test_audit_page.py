"""The page of the audit log: who sees it, what it is asked for, and what a verification says."""

import re
from datetime import timedelta

from fastapi.testclient import TestClient

from renderctl.core.permissions import FARM
from tests.farms import ACTOR, given_job
from tests.server.conftest import Served
from tests.server.pages import links, log_in, rows


def test_the_audit_log_is_for_admins_alone(client: TestClient) -> None:
    log_in(client, "vic")
    for page in ("/audit", "/audit/verify"):
        answer = client.get(page)
        assert answer.status_code == 403
        assert "may not: Read the audit log" in answer.text
    log_in(client, "ada")
    text = client.get("/audit?outcome=refused").text
    assert rows(text) == 2
    assert "audit.see" in text


def test_the_audit_log_is_asked_for_who_what_and_when(client: TestClient, served: Served) -> None:
    job = given_job(served.farm, "1")
    log_in(client, "vic")
    log_in(client, "ada")
    today = served.farm.clock.now().date()
    found = {
        "by=vic": 1,
        "action=session": 2,
        "action=session.open&by=ada": 1,
        f"subject={job.id}": 1,
        f"action=session&since={today}&until={today}": 2,
        f"since={today + timedelta(days=1)}": 0,
        f"until={today - timedelta(days=1)}": 0,
    }
    for query, count in found.items():
        assert rows(client.get(f"/audit?{query}").text) == count, query
    for query in ("since=yesterday", "since=2026-02-30", "outcome=nonsense", "before=no"):
        assert client.get(f"/audit?{query}").status_code == 422, query
    assert f"/jobs/{job.id}" in links(client.get(f"/audit?subject={job.id}").text)


def test_every_entry_of_a_long_log_is_on_one_page_and_no_more(client: TestClient, served: Served) -> None:
    for number in range(120):
        served.farm.repository.audit.add_refusal(ACTOR, f"test.n{number}", FARM, "refused")
    log_in(client, "ada")
    place, seen = "/audit?action=test", []
    while place:
        text = client.get(place).text
        seen += re.findall(r">(test\.n\d+)<", text)
        place = next(iter(re.findall(r'rel="next" href="([^"]+)"', text)), "").replace("&amp;", "&")
    assert seen == [f"test.n{number}" for number in reversed(range(120))]


def test_a_log_that_was_changed_is_said_to_be_so(client: TestClient, served: Served) -> None:
    log_in(client, "ada")
    text = client.get("/audit/verify").text
    assert ">intact<" in text
    end = re.search(r"\d+:[0-9a-f]{64}", text)
    assert end
    assert ">intact<" in client.get(f"/audit/verify?seen={end[0]}").text
    assert ">damaged<" in client.get(f"/audit/verify?seen=99999{end[0]}").text
    assert client.get("/audit/verify?seen=nonsense").status_code == 422
    tamper(served)
    text = client.get("/audit/verify").text
    assert ">damaged<" in text
    assert "Entry 1</a>: it was changed." in text


def tamper(served: Served) -> None:
    from renderctl.repository.schema.audit import audits

    changed = audits.update().where(audits.c.seq == 1).values(actor="nobody")
    served.farm.repository.database.write(lambda connection: connection.execute(changed))
