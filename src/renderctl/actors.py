"""Who does something: every write takes an actor and leaves an audit row."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    name: str
    kind: str = "user"  #: user, worker or farm (the sweep)
