"""The mark inside what we make at a provider: who we are, and which request made it.

Whatever makes something there writes it, so that a sweep can tell ours from another
installation's, and each thing from what no row explains (rule 17).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Self


@dataclass(frozen=True, slots=True)
class Mark:
    """Installation id and token, as one text that fits into a tag."""

    installation: str
    token: str

    def __str__(self) -> str:
        return f"{self.installation}.{self.token}" if self.token else "no mark"

    @classmethod
    def of(cls, text: object) -> Self | None:
        """Read a mark; None for what is none, such as another program's tag."""
        if not isinstance(text, str):
            return None
        installation, dot, token = text.partition(".")
        return cls(installation, token) if dot and installation and token else None


#: Of a thing that carries none.
NO_MARK = Mark("", "")


@dataclass(frozen=True, slots=True)
class MarkedThing:
    """Something at a provider that carries a mark of an Earmark.

    `kind` is the connector's word for it, such as `image`; `id` the provider's own.
    `created_at` is the provider's clock, None when it does not tell. `under_way`: it is
    not there yet, a job is still making it.
    """

    kind: str
    id: str
    name: str
    mark: Mark
    created_at: datetime | None = None
    under_way: bool = False
