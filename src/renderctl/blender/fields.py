"""Validated access to the fields of an untrusted JSON object; raises InvalidEvent for wrong types and bounds."""

from collections.abc import Iterator, Mapping
from typing import Any

from renderctl.blender.failures import InvalidEvent
from renderctl.core.limits import MAX_NAME, MAX_PATH

#: Characters of a sentence; longer ones are cut off.
MAX_SENTENCE = 4000
#: The largest integer of a database column.
MAX_INTEGER = (1 << 31) - 1
#: Numbers of a frame are below this.
MAX_NUMBER = 1e15


class Fields:
    """Reads a mapping, which errors call `where`. All methods raise InvalidEvent."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self._where = where

    def require_known(self, names: frozenset[str]) -> None:
        """Require that there are no other fields."""
        if not names.issuperset(self._values):
            raise InvalidEvent(f"{self._where} has an unknown field")

    def has(self, name: str) -> bool:
        """Return whether the field is present and not null."""
        return self._values.get(name) is not None

    def name(self, name: str, *, most: int = MAX_NAME) -> str:
        """Return a text of at most `most` characters."""
        text = self._text(self._value(name), name)
        if len(text) > most:
            raise InvalidEvent(f"{self._where}.{name} is longer than {most} characters")
        return text

    def path(self, name: str) -> str:
        """Return a path of at most MAX_PATH characters."""
        return self.name(name, most=MAX_PATH)

    def paths(self, name: str, *, most: int) -> tuple[str, ...]:
        """Return a list of at most `most` paths."""
        paths = self._texts(name, most)
        if any(len(path) > MAX_PATH for path in paths):
            raise InvalidEvent(f"{self._where}.{name} has a path of more than {MAX_PATH} characters")
        return paths

    def sentence(self, name: str, *, most: int = MAX_SENTENCE) -> str:
        """Return a text for people, cut off after `most` characters."""
        return self._text(self._value(name), name)[:most]

    def names(self, name: str, *, most: int) -> tuple[str, ...]:
        """Return a list of at most `most` names."""
        texts = self._texts(name, most)
        if any(len(text) > MAX_NAME for text in texts):
            raise InvalidEvent(f"{self._where}.{name} has a name of more than {MAX_NAME} characters")
        return texts

    def sentences(self, name: str, *, most: int, chars: int = MAX_SENTENCE) -> tuple[str, ...]:
        """Return a list of at most `most` texts for people, each cut off after `chars` characters."""
        return tuple(text[:chars] for text in self._texts(name, most))

    def integer(self, name: str, *, least: int = 0, most: int = MAX_INTEGER) -> int:
        """Return an integer from `least` to `most`."""
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidEvent(f"{self._where}.{name} is not an integer")
        if not least <= value <= most:
            raise InvalidEvent(f"{self._where}.{name} is out of range")
        return value

    def number(self, name: str) -> float:
        """Return a finite number from 0 on."""
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidEvent(f"{self._where}.{name} is not a number")
        if not 0 <= value < MAX_NUMBER:
            raise InvalidEvent(f"{self._where}.{name} is out of range")
        return float(value)

    def flag(self, name: str) -> bool:
        """Return a boolean."""
        value = self._value(name)
        if not isinstance(value, bool):
            raise InvalidEvent(f"{self._where}.{name} is neither true nor false")
        return value

    def objects(self, name: str, *, most: int) -> "Iterator[Fields]":
        """Yield the objects of a list of at most `most`."""
        for number, value in enumerate(self._list(name, most)):
            if not isinstance(value, dict):
                raise InvalidEvent(f"{self._where}.{name}[{number}] is not an object")
            yield Fields(value, f"{self._where}.{name}[{number}]")

    def integers(self, name: str, *, count: int, least: int = 0, most: int = MAX_INTEGER) -> tuple[int, ...]:
        """Return a list of exactly `count` integers."""
        values = self._list(name, count)
        if len(values) != count:
            raise InvalidEvent(f"{self._where}.{name} does not have {count} items")
        fields = Fields({str(number): value for number, value in enumerate(values)}, f"{self._where}.{name}")
        return tuple(fields.integer(str(number), least=least, most=most) for number in range(count))

    def _texts(self, name: str, most: int) -> tuple[str, ...]:
        return tuple(self._text(value, name) for value in self._list(name, most))

    def _list(self, name: str, most: int) -> list[Any]:
        value = self._value(name)
        if not isinstance(value, list):
            raise InvalidEvent(f"{self._where}.{name} is not a list")
        if len(value) > most:
            raise InvalidEvent(f"{self._where}.{name} has more than {most} items")
        return value

    def _text(self, value: object, name: str) -> str:
        if not isinstance(value, str):
            raise InvalidEvent(f"{self._where}.{name} is not a text")
        if "\0" in value:
            raise InvalidEvent(f"{self._where}.{name} has a NUL")
        try:
            value.encode()
        except UnicodeEncodeError as error:  # a lone surrogate, which databases and files refuse
            raise InvalidEvent(f"{self._where}.{name} is not UTF-8") from error
        return value

    def _value(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError as error:
            raise InvalidEvent(f"{self._where}.{name} is missing") from error
