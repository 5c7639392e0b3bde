"""The kinds of verbs: a use-case of the farm, bound to whoever uses it, here or through a server.

Each is a descriptor of `renderctl.wiring.commands.Commands` with the parameters and the result of its use-case, so that
mypy checks every call of one. What a verb is made of is imported when it is first used.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, TypeVar, overload

from renderctl.core.errors import UsageError

if TYPE_CHECKING:
    from renderctl.client.connection import ServerConnection
    from renderctl.core.actors import Actor
    from renderctl.farm import Farm

P = ParamSpec("P")
Result = TypeVar("Result")
Answer = TypeVar("Answer")  #: what the server's answer becomes

UseCase = Callable[Concatenate["Farm", "Actor", P], Result]
Request = Callable[Concatenate["ServerConnection", P], Answer]


class LazyPackage:
    """A package whose modules are imported when they are first named."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> "LazyPackage | ModuleType":
        package = importlib.import_module(self._name)
        value = getattr(package, name, None) or importlib.import_module(f"{self._name}.{name}")
        if not isinstance(value, ModuleType):
            return value  # type: ignore[no-any-return]  # a function of the package itself
        named = LazyPackage(value.__name__) if hasattr(value, "__path__") else value
        setattr(self, name, named)  # the next look finds it at once
        return named


class FarmBinding(ABC):
    """Verbs are bound to a farm and to who uses it."""

    @property
    @abstractmethod
    def actor(self) -> "Actor":
        """Who uses the farm."""

    @property
    @abstractmethod
    def farm(self) -> "Farm":
        """The farm of the settings."""


class ServerBinding(ABC):
    """Verbs are bound to a server, and to a farm of this machine for what is done here."""

    server: "ServerConnection"

    @property
    @abstractmethod
    def local(self) -> FarmBinding:
        """The verbs of this machine's own farm."""


class FarmVerb(Generic[P, Result]):
    """A use-case with the permission that its actor needs, a row of `renderctl.core.permissions`."""

    def __init__(self, action: str, use_case: Callable[[], UseCase[P, Result]]) -> None:
        self.action = action
        self.use_case = use_case

    def through_server(self, request: Callable[[], Request[P, Answer]]) -> "Verb[P, Result, Answer]":
        """The verb that also works through a server: `request` has the parameters of the use-case."""
        return Verb(self.action, self.use_case, request)

    def on_nodes(self, command: str) -> "NodeVerb[P, Result]":
        """The verb of a command that needs the parts of the farm; through a server it is refused."""
        return NodeVerb(self.action, self.use_case, command)

    def on_this_machine(self) -> "OwnFarmVerb[P, Result]":
        """The verb that uses this machine's own farm, whatever the server."""
        return OwnFarmVerb(self.action, self.use_case)

    def bind(self, binding: FarmBinding) -> Callable[P, Result]:
        """The use-case for the farm and the actor of the binding."""
        return partial(self.use_case(), binding.farm, binding.actor)

    @overload
    def __get__(self, commands: None, owner: type[object]) -> "FarmVerb[P, Result]": ...
    @overload
    def __get__(self, commands: FarmBinding, owner: type[object]) -> Callable[P, Result]: ...
    def __get__(self, commands: FarmBinding | None, owner: type[object]) -> object:
        return self if commands is None else self.bind(commands)


class Verb(Generic[P, Result, Answer]):
    """A use-case that is also had through a server, with the same parameters."""

    def __init__(
        self, action: str, use_case: Callable[[], UseCase[P, Result]], request: Callable[[], Request[P, Answer]]
    ) -> None:
        self.action = action
        self.use_case = use_case
        self.request = request

    @overload
    def __get__(self, commands: None, owner: type[object]) -> "Verb[P, Result, Answer]": ...
    @overload
    def __get__(self, commands: FarmBinding, owner: type[object]) -> Callable[P, Result]: ...
    @overload
    def __get__(self, commands: ServerBinding, owner: type[object]) -> Callable[P, Answer]: ...
    @overload
    def __get__(self, commands: object, owner: type[object]) -> Callable[P, Result | Answer]: ...
    def __get__(self, commands: object, owner: type[object]) -> object:
        if isinstance(commands, FarmBinding):
            return partial(self.use_case(), commands.farm, commands.actor)
        if isinstance(commands, ServerBinding):
            return partial(self.request(), commands.server)
        return self


class NodeVerb(FarmVerb[P, Result]):
    """A use-case for nodes of the farm alone. Through a server: raises UsageError when it is looked up."""

    def __init__(self, action: str, use_case: Callable[[], UseCase[P, Result]], command: str) -> None:
        super().__init__(action, use_case)
        self.command = command

    @overload
    def __get__(self, commands: None, owner: type[object]) -> "NodeVerb[P, Result]": ...
    @overload
    def __get__(self, commands: object, owner: type[object]) -> Callable[P, Result]: ...
    def __get__(self, commands: object, owner: type[object]) -> object:
        if isinstance(commands, ServerBinding):
            raise refused_through_server(self.command)
        return self if not isinstance(commands, FarmBinding) else self.bind(commands)


class OwnFarmVerb(FarmVerb[P, Result]):
    """A use-case of this machine's own farm, whatever the server."""

    @overload
    def __get__(self, commands: None, owner: type[object]) -> "OwnFarmVerb[P, Result]": ...
    @overload
    def __get__(self, commands: object, owner: type[object]) -> Callable[P, Result]: ...
    def __get__(self, commands: object, owner: type[object]) -> object:
        binding = commands.local if isinstance(commands, ServerBinding) else commands
        return self.bind(binding) if isinstance(binding, FarmBinding) else self


class MachineVerb(Generic[P, Result]):
    """A use-case that touches this machine alone: it takes no actor, and needs no permission."""

    action = None

    def __init__(self, use_case: Callable[[], Callable[Concatenate["Farm", P], Result]]) -> None:
        self.use_case = use_case

    @overload
    def __get__(self, commands: None, owner: type[object]) -> "MachineVerb[P, Result]": ...
    @overload
    def __get__(self, commands: object, owner: type[object]) -> Callable[P, Result]: ...
    def __get__(self, commands: object, owner: type[object]) -> object:
        binding = commands.local if isinstance(commands, ServerBinding) else commands
        return partial(self.use_case(), binding.farm) if isinstance(binding, FarmBinding) else self


def refused_through_server(command: str) -> UsageError:
    """The error for a command that needs the parts of the farm."""
    hint = "Run it there; `--config FILE` names a config of the farm's own parts."
    return UsageError(f"{command} is for nodes of the farm, not over a server.", hint=hint)
