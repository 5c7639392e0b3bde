"""File names from any text, and where the files of a scene lie."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderctl.farm.models.path_mapping import map_paths
from renderctl.farm.safe_names import safe_name

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(TEXTS)
def test_any_text_is_a_legal_name(text: str) -> None:
    name = safe_name(text)
    assert 0 < len(name.encode()) <= 130
    assert name not in (".", "..")
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert not name.endswith((".", " "))
    assert not name.startswith(".")


@given(st.lists(TEXTS, unique=True, max_size=8))
def test_two_texts_never_share_a_name(texts: list[str]) -> None:
    assert len({safe_name(text) for text in texts}) == len(texts)


@pytest.mark.slow
@given(st.text(st.sampled_from("a.% \n/"), max_size=6), st.text(st.sampled_from("a.% \n/"), max_size=6))
def test_texts_of_awkward_characters_never_share_a_name(one: str, other: str) -> None:
    assert (safe_name(one) == safe_name(other)) == (one == other)


@pytest.mark.parametrize("text", ["shot 12", "Käse", "猫", "a-b_c.d", "x" * 120])
def test_a_readable_text_stays_as_it_is(text: str) -> None:
    assert safe_name(text) == text


@pytest.mark.parametrize("text", ["CON", "nul.txt", "..", ".hidden", "a/b", 'say "hi"', "", " ", "😀" * 100])
def test_what_a_file_system_refuses_is_spelled_otherwise(text: str) -> None:
    assert safe_name(text) != text


def test_files_keep_their_places_below_the_deepest_folder_that_holds_them_all() -> None:
    layout = map_paths(Path("/film/shots/12/a.blend"), [Path("/film/tex/wood.png"), Path("/film/shots/12/b.blend")])
    assert layout.root == Path("/film")
    assert dict(layout.stored) == {
        Path("/film/shots/12/a.blend"): "shots/12/a.blend",
        Path("/film/tex/wood.png"): "tex/wood.png",
        Path("/film/shots/12/b.blend"): "shots/12/b.blend",
    }
    assert layout.relocations == {"/film": "."}


def test_a_path_that_goes_up_is_the_same_file_as_one_that_does_not() -> None:
    layout = map_paths(Path("/film/a.blend"), [Path("/film/sub/../tex.png"), Path("/film/tex.png")])
    assert sorted(layout.stored.values()) == ["a.blend", "tex.png"]


def test_a_scene_alone_lies_at_the_root() -> None:
    assert dict(map_paths(Path("/home/ada/a.blend"), []).stored) == {Path("/home/ada/a.blend"): "a.blend"}
