"""All verbs, by their names."""

from collections.abc import Mapping

from renderctl.wiring import LocalCommands
from renderctl.wiring.verbs import FarmVerb, MachineVerb, Verb

AnyVerb = FarmVerb[..., object] | Verb[..., object, object] | MachineVerb[..., object]

VERBS: Mapping[str, AnyVerb] = {
    name: member
    for owner in LocalCommands.__mro__
    for name, member in vars(owner).items()
    if isinstance(member, FarmVerb | Verb | MachineVerb)
}
