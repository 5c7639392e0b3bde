"""Rendering the scripts of sessions from templates."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderctl.blender.scripts import RenderPlan, inspect_script, literal, render_script
from renderctl.blender.templates import templates_dir
from renderctl.core.jobs import RenderOptions

EVIL = '"); import os; os.system("rm -rf /"); ("\n\\\'\'\'{{ 7*7 }}{% raw %}\u2028\0'

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.slow
@given(values)
def test_a_literal_means_the_value_and_nothing_else(value: object) -> None:
    written = literal(value)
    assert ast.literal_eval(written) == value
    assert written.isascii()
    assert written.isprintable()


def test_what_is_no_plain_value_has_no_literal() -> None:
    with pytest.raises(TypeError):
        literal(object())


def test_names_to_be_afraid_of_stay_names_in_a_script() -> None:
    options = RenderOptions(scene=EVIL, view_layer=EVIL, settings={EVIL: EVIL})
    plan = RenderPlan(
        Path("/scenes") / EVIL.replace("/", ""), options, (EVIL,), {EVIL: EVIL}, ((EVIL, Path("/model.obj")),)
    )
    constants = {
        ast.literal_eval(node.value) if isinstance(node.value, ast.Constant) else repr(ast.literal_eval(node.value))
        for node in ast.parse(render_script(plan)).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").isupper()
    }
    assert str(plan.scene) in constants
    plain, evil = (ast.parse(inspect_script(scene)) for scene in (Path("/a"), plan.scene))
    assert [type(node) for node in ast.walk(plain)] == [type(node) for node in ast.walk(evil)]


def test_scripts_are_the_same_but_for_their_values() -> None:
    plain, evil = (ast.parse(render_script(RenderPlan(Path("/a"), RenderOptions(scene=name)))) for name in ("a", EVIL))
    assert [type(node) for node in ast.walk(plain)] == [type(node) for node in ast.walk(evil)]


def test_a_template_of_a_user_can_not_write_a_raw_value(tmp_path: Path) -> None:
    template = tmp_path / "mine.py.j2"
    template.write_text("x = {{ scene }}\n")
    with pytest.raises(TypeError, match="filter `literal` only"):
        render_script(RenderPlan(Path("/a"), template=template))
    template.write_text("x = {{ scene | literal }}\n")
    assert render_script(RenderPlan(Path("/a"), template=template)) == "x = '/a'\n"


def test_the_templates_are_found() -> None:
    assert (templates_dir() / "render.py.j2").is_file()
