"""The permission table, as it is told."""

import pytest

from renderctl.core.actors import Actor, Role, local_actor
from renderctl.core.errors import InvalidInput
from renderctl.core.people import validated_name, validated_password
from tests.core.permissions_page import PAGE, page


def test_the_reference_of_permissions_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "`make docs` makes it current"


def test_who_has_the_keys_is_an_admin_and_who_comes_without_a_word_is_the_least() -> None:
    assert local_actor("ada").role is Role.ADMIN
    assert Actor("mona").role is Role.VIEWER


def test_what_names_no_project_goes_to_the_only_one_that_somebody_has() -> None:
    assert Actor("mona", projects=frozenset(["film"])).default_project == "film"
    assert Actor("mona", projects=frozenset(["film", "game"])).default_project == "default"


@pytest.mark.parametrize("name", ["", "Ada", "ada lovelace", "-ada", "a" * 65, "ada\n", "аda"])
def test_names_that_look_like_others_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        validated_name(name)


def test_a_bad_password_is_not_shown() -> None:
    with pytest.raises(InvalidInput) as caught:
        validated_password("hunter2")
    assert "hunter2" not in str(caught.value)
