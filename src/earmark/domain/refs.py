"""References from a command's parameters to objects: a name or an id goes in, an id
is kept."""

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """Marks a text field as the name or id of an object of one kind."""

    kind: str


ProviderRef = Annotated[str, ObjectRef("provider")]
VmRef = Annotated[str, ObjectRef("vm")]
TemplateRef = Annotated[str, ObjectRef("template")]
OrphanRef = Annotated[str, ObjectRef("orphan")]
