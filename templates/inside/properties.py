"""`--set KEY=VALUE`: any property that can be reached from the scene, checked before it is set.

Blender up to 4.5 takes any name on some of its structs, stores nothing and says nothing; so every name is looked up.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any

import bpy

from inside.faults import SceneFault, listed, sentence

STEP = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:\[(?P<key>[^\]]*)\])?(?:\.|$)")
TRUE, FALSE = ("true", "on", "yes", "1"), ("false", "off", "no", "0")
#: Where the datablock that a pointer names is looked for.
COLLECTIONS = {"World": "worlds", "Object": "objects", "Material": "materials", "Collection": "collections"}


def apply_settings(scene: Any, settings: Mapping[str, str]) -> None:
    """Set each key to its value, given as text. Raises SceneFault for a name or a value that does not fit."""
    for key, text in settings.items():
        holder, name = _find(scene, key)
        _set(holder, name, text, key)


def _find(scene: Any, key: str) -> tuple[Any, str]:
    path = key.removeprefix("scene.")
    steps = list(STEP.finditer(path))
    if "".join(step[0] for step in steps) != path or not steps:
        raise SceneFault(f"{key!r} is not a path of properties such as cycles.max_bounces.")
    holder = scene
    for step in steps[:-1]:
        holder = _inner(holder, step, key)
    last = steps[-1]
    if last["key"] is not None:
        raise SceneFault(f"{key!r} names a part of something, not a property.")
    _known(holder, last["name"], key)
    return holder, last["name"]


def _inner(holder: Any, step: re.Match[str], key: str) -> Any:
    _known(holder, step["name"], key)
    inner = getattr(holder, step["name"])
    if step["key"] is not None:
        index = step["key"].strip("\"'")
        try:
            inner = inner[int(index) if index.lstrip("-").isdigit() else index]
        except (KeyError, IndexError, TypeError) as error:
            raise SceneFault(f"There is no {index!r} in {step['name']} ({key}).") from error
    if not hasattr(inner, "bl_rna"):
        raise SceneFault(f"{step['name']} has no properties ({key}).")
    return inner


def _known(holder: Any, name: str, key: str) -> None:
    names = [each for each in holder.bl_rna.properties.keys() if each != "rna_type"]
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    meant = f"Did you mean {' or '.join(near)}?" if near else f"There is: {listed(sorted(names), 20)}."
    raise SceneFault(f"There is no property {name!r} in {holder.bl_rna.name} ({key}). {meant}")


def _set(holder: Any, name: str, text: str, key: str) -> None:
    known = holder.bl_rna.properties[name]
    if known.is_readonly and known.type != "POINTER":
        raise SceneFault(f"{key} can not be set: Blender only shows it.")
    value = _vector(known, text, key) if getattr(known, "is_array", False) else _single(known, text, key)
    try:
        setattr(holder, name, value)
    except (TypeError, ValueError, AttributeError) as error:
        raise SceneFault(f"{key} can not be {text!r}: {sentence(str(error).split('val: ')[-1])}") from error


def _vector(known: Any, text: str, key: str) -> list[Any]:
    parts = [part.strip() for part in text.strip("[]() ").split(",")]
    if len(parts) != known.array_length:
        raise SceneFault(f"{key} takes {known.array_length} values, such as {','.join(['1'] * known.array_length)}.")
    return [_single(known, part, key) for part in parts]


def _single(known: Any, text: str, key: str) -> Any:
    if known.type == "BOOLEAN":
        return _boolean(text, key)
    if known.type in ("INT", "FLOAT"):
        return _number(known, text, key)
    if known.type == "ENUM":
        return _choice(known, text, key)
    if known.type == "POINTER":
        return _datablock(known, text, key)
    if known.type == "STRING":
        return text
    raise SceneFault(f"{key} is a collection and can not be set.")


def _boolean(text: str, key: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise SceneFault(f"{key} is true or false, not {text!r}.")
    return text.lower() in TRUE


def _number(known: Any, text: str, key: str) -> float:
    kind = int if known.type == "INT" else float
    try:
        number = kind(text)
    except ValueError as error:
        what = "a whole number" if kind is int else "a number"
        raise SceneFault(f"{key} is {what}, not {text!r}.") from error
    if not known.hard_min <= number <= known.hard_max:
        raise SceneFault(f"{key} goes from {known.hard_min:g} to {known.hard_max:g}, not {text}.")
    return number


def _choice(known: Any, text: str, key: str) -> Any:
    words = [item.identifier for item in known.enum_items]
    parts = [part.strip() for part in text.split(",")] if known.is_enum_flag else [text]
    spelled = [next((word for word in words if word.lower() == part.lower()), part) for part in parts]
    # The choices of some enums are made up as they are asked for: those Blender checks when it is set.
    wrong = [part for part in spelled if part not in words]
    if wrong and len(words) > 1:
        raise SceneFault(f"{key} has no choice {wrong[0]!r}. There is: {listed(words, 40)}.")
    return set(spelled) if known.is_enum_flag else spelled[0]


def _datablock(known: Any, text: str, key: str) -> Any:
    collection = getattr(bpy.data, COLLECTIONS.get(known.fixed_type.identifier, ""), None)
    if collection is None:
        raise SceneFault(f"{key} holds properties; set one of them, such as {key}.NAME.")
    if text not in collection:
        near = difflib.get_close_matches(text, collection.keys(), n=1)
        meant = f"Did you mean {near[0]!r}?" if near else f"There is: {listed(collection.keys())}."
        raise SceneFault(f"There is no {known.fixed_type.name} {text!r} ({key}). {meant}")
    return collection[text]
