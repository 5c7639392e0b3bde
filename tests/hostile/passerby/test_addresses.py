"""Secrets in addresses, which servers, proxies and other sites are sent; and addresses that lead elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.core.actors import Role
from renderctl.farm import Farm
from renderctl.farm.people.users import add_user
from tests.farms import ACTOR, close, make_farm
from tests.server.conftest import Served, served

__all__ = ["served"]
PASSWORD = "correct horse battery"


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    made = make_farm(tmp_path / "data")
    yield made
    close(made)


def test_the_code_of_an_invitation_is_no_part_of_what_is_sent(served: Served) -> None:
    ada = served.person("ada", Role.ADMIN)
    assert 'data-link="/register#code="' in served.client.get("/users", headers=ada).text
    assert "rctli_secret" not in served.client.get("/register?code=rctli_secret").text
    page = served.client.get("/register")
    assert '<script type="module" src="/static/register.js">' in page.text
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "place",
    [
        "//evil.test",
        "/\\evil.test",
        "/\t/evil.test",
        "\t//evil.test",
        "/\r\nevil",
        "https://evil.test",
        "/%5c\\evil",
        "",
    ],
)
def test_a_log_in_leads_to_no_other_site(served: Served, place: str) -> None:
    add_user(served.farm, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    form = {"name": "ada", "password": PASSWORD, "next": place}
    answer = served.client.post("/login", data=form, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
