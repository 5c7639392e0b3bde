"""`--set KEY=VALUE`: setting any RNA property that is reachable from the scene, with checks.

Blender up to 4.5 silently ignores unknown names on some structs, so every name is looked up.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any

import bpy

from session_lib.faults import SceneFault, comma_separated, sentence

_STEP = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:\[(?P<key>[^\]]*)\])?(?:\.|$)")
_TRUE, _FALSE = ("true", "on", "yes", "1"), ("false", "off", "no", "0")
#: Type of a pointer -> the collection of bpy.data to search.
_COLLECTIONS = {"World": "worlds", "Object": "objects", "Material": "materials", "Collection": "collections"}


def apply_settings(scene: Any, settings: Mapping[str, str]) -> None:
    """Set each key to its value, given as text. Raises SceneFault for an unknown name or an invalid value."""
    for key, text in settings.items():
        holder, name = _resolve(scene, key)
        _set(holder, name, text, key)


def _resolve(scene: Any, key: str) -> tuple[Any, str]:
    path = key.removeprefix("scene.")
    steps = list(_STEP.finditer(path))
    if "".join(step[0] for step in steps) != path or not steps:
        raise SceneFault(f"{key!r} is not a property path such as cycles.max_bounces.")
    holder = scene
    for step in steps[:-1]:
        holder = _step_into(holder, step, key)
    last = steps[-1]
    if last["key"] is not None:
        raise SceneFault(f"{key!r} is an item, not a property.")
    _require_property(holder, last["name"], key)
    return holder, last["name"]


def _step_into(holder: Any, step: re.Match[str], key: str) -> Any:
    _require_property(holder, step["name"], key)
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


def _require_property(holder: Any, name: str, key: str) -> None:
    names = [known for known in holder.bl_rna.properties.keys() if known != "rna_type"]
    if name in names:
        return
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"Available: {comma_separated(sorted(names), 20)}."
    raise SceneFault(f"There is no property {name!r} in {holder.bl_rna.name} ({key}). {hint}")


def _set(holder: Any, name: str, text: str, key: str) -> None:
    rna = holder.bl_rna.properties[name]
    if rna.is_readonly and rna.type != "POINTER":
        raise SceneFault(f"{key} cannot be set: it is read-only.")
    value = _parse_vector(rna, text, key) if getattr(rna, "is_array", False) else _parse_value(rna, text, key)
    try:
        setattr(holder, name, value)
    except (TypeError, ValueError, AttributeError) as error:
        raise SceneFault(f"{key} cannot be {text!r}: {sentence(str(error).split('val: ')[-1])}") from error


def _parse_vector(rna: Any, text: str, key: str) -> list[Any]:
    parts = [part.strip() for part in text.strip("[]() ").split(",")]
    if len(parts) != rna.array_length:
        raise SceneFault(f"{key} takes {rna.array_length} values, such as {','.join(['1'] * rna.array_length)}.")
    return [_parse_value(rna, part, key) for part in parts]


def _parse_value(rna: Any, text: str, key: str) -> Any:
    if rna.type == "BOOLEAN":
        return _parse_boolean(text, key)
    if rna.type in ("INT", "FLOAT"):
        return _parse_number(rna, text, key)
    if rna.type == "ENUM":
        return _parse_choice(rna, text, key)
    if rna.type == "POINTER":
        return _find_datablock(rna, text, key)
    if rna.type == "STRING":
        return text
    raise SceneFault(f"{key} is a collection and cannot be set.")


def _parse_boolean(text: str, key: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise SceneFault(f"{key} must be true or false, not {text!r}.")
    return text.lower() in _TRUE


def _parse_number(rna: Any, text: str, key: str) -> float:
    kind = int if rna.type == "INT" else float
    try:
        number = kind(text)
    except ValueError as error:
        what = "a whole number" if kind is int else "a number"
        raise SceneFault(f"{key} must be {what}, not {text!r}.") from error
    if not rna.hard_min <= number <= rna.hard_max:
        raise SceneFault(f"{key} must be {rna.hard_min:g} to {rna.hard_max:g}, not {text}.")
    return number


def _parse_choice(rna: Any, text: str, key: str) -> Any:
    words = [item.identifier for item in rna.enum_items]
    parts = [part.strip() for part in text.split(",")] if rna.is_enum_flag else [text]
    choices = [next((word for word in words if word.lower() == part.lower()), part) for part in parts]
    # Some enums have dynamic items: Blender checks those on assignment.
    unknown = [part for part in choices if part not in words]
    if unknown and len(words) > 1:
        raise SceneFault(f"{key} has no choice {unknown[0]!r}. Available: {comma_separated(words, 40)}.")
    return set(choices) if rna.is_enum_flag else choices[0]


def _find_datablock(rna: Any, text: str, key: str) -> Any:
    collection = getattr(bpy.data, _COLLECTIONS.get(rna.fixed_type.identifier, ""), None)
    if collection is None:
        raise SceneFault(f"{key} is a group of properties; set one of them, such as {key}.NAME.")
    if text not in collection:
        close = difflib.get_close_matches(text, collection.keys(), n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"There is: {comma_separated(collection.keys())}."
        raise SceneFault(f"There is no {rna.fixed_type.name} {text!r} ({key}). {hint}")
    return collection[text]
