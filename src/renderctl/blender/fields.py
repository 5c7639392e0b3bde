"""The fields of a JSON object that a stranger may have written: each of its type, within bounds, or InvalidEvent."""

from collections.abc import Iterator, Mapping
from typing import Any

from renderctl.blender.failures import InvalidEvent
from renderctl.core.limits import MAX_NAME, MAX_PATH

#: Characters of a sentence.
MAX_SENTENCE = 4000
#: Integers are those of a database column.
MAX_INTEGER = (1 << 31) - 1
#: No figure of a frame comes to this.
MAX_NUMBER = 1e15


class Fields:
    """Reads a mapping; `where` says in errors which one it is."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self._where = where

    def require_known(self, names: frozenset[str]) -> None:
        """Raise InvalidEvent for a field of any other name."""
        if not names.issuperset(self._values):
            raise InvalidEvent(f"{self._where} has a field that nobody knows")

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._values.get(name) is not None

    def name(self, name: str, *, most: int = MAX_NAME) -> str:
        """A text that has to be whole."""
        text = self._text(self._value(name), name)
        if len(text) > most:
            raise InvalidEvent(f"{self._where}.{name} is longer than {most} characters")
        return text

    def path(self, name: str) -> str:
        return self.name(name, most=MAX_PATH)

    def paths(self, name: str, *, most: int) -> tuple[str, ...]:
        """A list of paths that have to be whole, `most` of them at most."""
        paths = self._texts(name, most)
        if any(len(path) > MAX_PATH for path in paths):
            raise InvalidEvent(f"{self._where}.{name} has a path of more than {MAX_PATH} characters")
        return paths

    def sentence(self, name: str, *, most: int = MAX_SENTENCE) -> str:
        """A text for people: the end of a long one is cut off."""
        return self._text(self._value(name), name)[:most]

    def names(self, name: str, *, most: int) -> tuple[str, ...]:
        """A list of texts that have to be whole, `most` of them at most."""
        texts = self._texts(name, most)
        if any(len(text) > MAX_NAME for text in texts):
            raise InvalidEvent(f"{self._where}.{name} has a name of more than {MAX_NAME} characters")
        return texts

    def sentences(self, name: str, *, most: int, chars: int = MAX_SENTENCE) -> tuple[str, ...]:
        """A list of texts for people, `most` of them at most: the ends of long ones are cut off."""
        return tuple(text[:chars] for text in self._texts(name, most))

    def integer(self, name: str, *, least: int = 0, most: int = MAX_INTEGER) -> int:
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidEvent(f"{self._where}.{name} is no integer")
        if not least <= value <= most:
            raise InvalidEvent(f"{self._where}.{name} is out of range")
        return value

    def number(self, name: str) -> float:
        """From 0 on. NaN and infinity are none."""
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidEvent(f"{self._where}.{name} is no number")
        if not 0 <= value < MAX_NUMBER:
            raise InvalidEvent(f"{self._where}.{name} is out of range")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self._value(name)
        if not isinstance(value, bool):
            raise InvalidEvent(f"{self._where}.{name} is neither true nor false")
        return value

    def objects(self, name: str, *, most: int) -> "Iterator[Fields]":
        """A list of objects, `most` of them at most."""
        for number, value in enumerate(self._list(name, most)):
            if not isinstance(value, dict):
                raise InvalidEvent(f"{self._where}.{name}[{number}] is no object")
            yield Fields(value, f"{self._where}.{name}[{number}]")

    def integers(self, name: str, *, count: int, least: int = 0, most: int = MAX_INTEGER) -> tuple[int, ...]:
        """A list of `count` integers."""
        values = self._list(name, count)
        if len(values) != count:
            raise InvalidEvent(f"{self._where}.{name} has not {count} items")
        fields = Fields({str(number): value for number, value in enumerate(values)}, f"{self._where}.{name}")
        return tuple(fields.integer(str(number), least=least, most=most) for number in range(count))

    def _texts(self, name: str, most: int) -> tuple[str, ...]:
        return tuple(self._text(value, name) for value in self._list(name, most))

    def _list(self, name: str, most: int) -> list[Any]:
        value = self._value(name)
        if not isinstance(value, list):
            raise InvalidEvent(f"{self._where}.{name} is no list")
        if len(value) > most:
            raise InvalidEvent(f"{self._where}.{name} has more than {most} items")
        return value

    def _text(self, value: object, name: str) -> str:
        if not isinstance(value, str):
            raise InvalidEvent(f"{self._where}.{name} is no text")
        if "\0" in value:
            raise InvalidEvent(f"{self._where}.{name} has a NUL")
        try:
            value.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair: no database and no file takes it
            raise InvalidEvent(f"{self._where}.{name} is no UTF-8") from error
        return value

    def _value(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError as error:
            raise InvalidEvent(f"{self._where}.{name} is missing") from error
