"""Results as JSON knows them: what `--json` prints, and what the server answers."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from renderctl.core.errors import RenderctlError

#: What things are called that follows from their fields.
_NAMES = ("ref", "id", "task_id")
#: What JSON has as it is, which is most of what there is; a kind of these, such as a StrEnum, is none of them.
_PLAIN = frozenset({str, int, float, bool, type(None)})


def to_json_value(result: object) -> Any:
    """A result as JSON knows it: dataclasses by their fields, times in UTC with a Z."""
    if type(result) in _PLAIN:
        return result
    if is_dataclass(result) and not isinstance(result, type):
        named = {name: getattr(result, name) for name in _NAMES if hasattr(result, name)}
        return named | {each.name: to_json_value(getattr(result, each.name)) for each in fields(result)}
    if isinstance(result, Mapping):
        return {str(key): to_json_value(value) for key, value in result.items()}
    if isinstance(result, list | tuple | set | frozenset):
        return [to_json_value(each) for each in result]
    if isinstance(result, datetime):
        return result.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(result, Enum):
        return result.value
    return str(result) if isinstance(result, Path) else result


def error_document(error: RenderctlError) -> dict[str, Any]:
    """What a program is told of an error."""
    return {"error": {"code": error.code, "message": error.message, "hint": error.hint, **error.details}}
