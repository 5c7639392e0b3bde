"""Errors: a sentence, a code for programs, an exit code for scripts."""

import re
from collections.abc import Iterator

import pytest

from renderctl.core import errors
from renderctl.core.errors import RenderctlError, SceneNotFound, StoreUnavailable, did_you_mean

EXIT_CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130}


def every(kind: type[RenderctlError] = RenderctlError) -> Iterator[type[RenderctlError]]:
    if kind.__module__ == errors.__name__:
        yield kind
    for below in kind.__subclasses__():
        yield from every(below)


@pytest.mark.parametrize("kind", list(every()), ids=lambda kind: kind.__name__)
def test_every_error_has_a_sentence_and_an_exit_code(kind: type[RenderctlError]) -> None:
    error = kind()
    assert re.fullmatch(r"[A-Z].*\.", error.message)
    assert kind.exit_code in EXIT_CODES
    assert re.fullmatch(r"[a-z_]+", error.code)


def test_codes_are_different() -> None:
    kinds = list(every())
    assert len({kind().code for kind in kinds}) == len(kinds)


def test_an_error_says_what_it_was_told() -> None:
    error = SceneNotFound("There is no scene shot.blend.", hint="Look elsewhere.")
    assert (str(error), error.hint, error.code, error.exit_code) == (
        "There is no scene shot.blend.",
        "Look elsewhere.",
        "scene_not_found",
        9,
    )
    assert StoreUnavailable("x").exit_code == errors.Unreachable.exit_code == 8


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("Camra", ["Camera", "Light"], "Did you mean 'Camera'?"),
        ("zzz", ["Camera", "Light"], "Available: Camera, Light"),
        ("zzz", [], None),
        ("zzz", [f"Camera{number}" for number in range(20)], "20 in all"),
    ],
)
def test_a_hint_names_the_likeliest_word_or_what_there_is(word: str, known: list[str], hint: str | None) -> None:
    given = did_you_mean(word, known)
    assert given is None if hint is None else hint in (given or "")
