"""Results as JSON values, for `--json` and the server's responses."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from renderctl.core.errors import RenderctlError

#: Properties that are included beside a dataclass's fields.
_COMPUTED_NAMES = ("ref", "id", "task_id")
#: Types that JSON represents directly, checked first since most values have them; subclasses, such as StrEnum, are not.
_JSON_TYPES = frozenset({str, int, float, bool, type(None)})


def to_json_value(result: object) -> Any:
    """Convert a result to a JSON value: dataclasses by their fields, times in UTC with a Z."""
    if type(result) in _JSON_TYPES:
        return result
    if is_dataclass(result) and not isinstance(result, type):
        computed = {name: getattr(result, name) for name in _COMPUTED_NAMES if hasattr(result, name)}
        return computed | {field.name: to_json_value(getattr(result, field.name)) for field in fields(result)}
    if isinstance(result, Mapping):
        return {str(key): to_json_value(value) for key, value in result.items()}
    if isinstance(result, list | tuple | set | frozenset):
        return [to_json_value(item) for item in result]
    if isinstance(result, datetime):
        return result.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(result, Enum):
        return result.value
    return str(result) if isinstance(result, Path) else result


def error_document(error: RenderctlError) -> dict[str, Any]:
    """Return the JSON document of an error."""
    return {"error": {"code": error.code, "message": error.message, "hint": error.hint, **error.details}}
