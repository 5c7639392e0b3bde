"""Documents as the models of their routes: the first mistake of a list ends it, and long lists are taken in slices.

pydantic tells of every mistake there is, which takes seconds where somebody makes a hundred thousand of them, and holds
the interpreter's lock meanwhile. Whoever makes one learns of one.
"""

from typing import Any, get_origin

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

#: Items of a list that are looked at without letting others have a turn.
_SLICE = 500
#: Mistakes that are told.
_MOST_MISTAKES = 5
_LISTS = ("list", "tuple", "set", "frozenset")


class BodyValidator:
    """Makes what a route takes of a document."""

    def __init__(self, annotation: Any) -> None:
        self._whole = _fail_fast(annotation)
        is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        fields = annotation.model_fields if is_model else {}
        self._fields = frozenset(fields) if is_model and annotation.model_config.get("extra") == "forbid" else None
        self._lists = {
            name: _fail_fast(field.annotation) for name, field in fields.items() if get_origin(field.annotation) is list
        }

    def validate(self, document: Any) -> Any:
        """What the route takes. Raises RequestValidationError."""
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
    """The items as they are validated; a list that is short is left for the whole."""
    if len(items) <= _SLICE:
        return items
    found: list[Any] = []
    for begin in range(0, len(items), _SLICE):
        found += _validated(validator, items[begin : begin + _SLICE], ("body", name), begin)
    return found


def _validated(validator: SchemaValidator, value: Any, place: tuple[str, ...], begin: int = 0) -> Any:
    try:
        return validator.validate_python(value)
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_MISTAKES]
        raise RequestValidationError(
            [{**each, "loc": (*place, *_place(each["loc"], begin))} for each in mistakes]
        ) from error


def _place(loc: tuple[int | str, ...], begin: int) -> tuple[int | str, ...]:
    """Where it is in the whole list."""
    return (loc[0] + begin, *loc[1:]) if loc and isinstance(loc[0], int) else loc


def _fail_fast(annotation: Any) -> SchemaValidator:
    return SchemaValidator(_ending_at_the_first(TypeAdapter(annotation).core_schema))


def _ending_at_the_first(schema: Any) -> Any:
    """The schema, each list of which ends with its first mistake."""
    if isinstance(schema, list):
        return [_ending_at_the_first(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {name: _ending_at_the_first(each) for name, each in schema.items()}
    return changed | {"fail_fast": True} if changed.get("type") in _LISTS else changed
