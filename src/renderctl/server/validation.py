"""Validation of documents: it stops at the first mistake of a list, and takes long lists in slices.

pydantic reports every mistake: for a hundred thousand of them it holds the interpreter lock for seconds.
"""

from typing import Any, get_origin

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

#: Items of a list that are validated before other threads get a turn.
_SLICE = 500
#: Mistakes that are reported.
_MAX_MISTAKES = 5
_LISTS = ("list", "tuple", "set", "frozenset")


class BodyValidator:
    """Validates the documents of one route."""

    def __init__(self, annotation: Any) -> None:
        self._whole = _fail_fast(annotation)
        is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        fields = annotation.model_fields if is_model else {}
        self._fields = frozenset(fields) if is_model and annotation.model_config.get("extra") == "forbid" else None
        self._lists = {
            name: _fail_fast(field.annotation) for name, field in fields.items() if get_origin(field.annotation) is list
        }

    def validate(self, document: Any) -> Any:
        """The parameter of the route. Raises RequestValidationError."""
        if isinstance(document, dict):
            self._refuse_unknown(document)
            for name, validator in self._lists.items():
                if isinstance(document.get(name), list):
                    document[name] = _in_slices(validator, name, document[name])
        return _validated(self._whole, document, ("body",))

    def _refuse_unknown(self, document: dict[str, Any]) -> None:
        if self._fields is not None and not self._fields.issuperset(document):
            name = next(name for name in document if name not in self._fields)
            mistake = {"type": "extra_forbidden", "loc": ("body", name[:100]), "msg": "Extra inputs are not permitted"}
            raise RequestValidationError([mistake])


def _in_slices(validator: SchemaValidator, name: str, items: list[Any]) -> list[Any]:
    """The validated items; a short list is left to the validation of the whole document."""
    if len(items) <= _SLICE:
        return items
    validated: list[Any] = []
    for begin in range(0, len(items), _SLICE):
        validated += _validated(validator, items[begin : begin + _SLICE], ("body", name), begin)
    return validated


def _validated(validator: SchemaValidator, value: Any, place: tuple[str, ...], begin: int = 0) -> Any:
    try:
        return validator.validate_python(value)
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_context=False, include_input=False)[:_MAX_MISTAKES]
        raise RequestValidationError(
            [{**mistake, "loc": (*place, *_place(mistake["loc"], begin))} for mistake in mistakes]
        ) from error


def _place(loc: tuple[int | str, ...], begin: int) -> tuple[int | str, ...]:
    """The place in the whole list."""
    return (loc[0] + begin, *loc[1:]) if loc and isinstance(loc[0], int) else loc


def _fail_fast(annotation: Any) -> SchemaValidator:
    return SchemaValidator(_with_fail_fast(TypeAdapter(annotation).core_schema))


def _with_fail_fast(schema: Any) -> Any:
    """The schema, whose lists stop at their first mistake."""
    if isinstance(schema, list):
        return [_with_fail_fast(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {name: _with_fail_fast(part) for name, part in schema.items()}
    return changed | {"fail_fast": True} if changed.get("type") in _LISTS else changed
