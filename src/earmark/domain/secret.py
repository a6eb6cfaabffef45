"""A secret on its way through a command: clear in memory only, sealed in the store."""

from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from earmark.domain.errors import BadInput

#: The key under which a sealed secret stands in stored parameters.
REFERENCE = "$secret"


class Secret:
    """A value that never shows: not in a repr, not in rows, logs or pages.

    A new secret holds its clear value; a stored one only the id of its sealed row.
    `ctx.reveal(secret)` opens it where a provider is spoken to.
    """

    __slots__ = ("_clear", "sealed_id")

    def __init__(self, clear: str | None = None, *, sealed_id: str | None = None):
        if (clear is None) == (sealed_id is None):
            raise ValueError("a secret is either clear or sealed")
        self._clear = clear
        self.sealed_id = sealed_id

    @property
    def clear(self) -> str:
        """The value; raises `ValueError` when this is only a sealed reference."""
        if self._clear is None:
            raise ValueError("this secret is sealed; open it with ctx.reveal(secret)")
        return self._clear

    def __repr__(self) -> str:
        return "Secret(•••)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Secret)
            and self._clear == other._clear
            and self.sealed_id == other.sealed_id
        )

    def __hash__(self) -> int:
        return hash((self._clear, self.sealed_id))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(cls._dump),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, *_: Any) -> dict[str, Any]:
        return {"type": "string", "format": "password", "writeOnly": True}

    @classmethod
    def _validate(cls, value: Any) -> "Secret":
        if isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, dict) and set(value) == {REFERENCE}:
            return cls(sealed_id=str(value[REFERENCE]))
        raise ValueError("a secret is a string")

    @staticmethod
    def _dump(secret: "Secret") -> dict[str, str]:
        return secret.reference()

    def reference(self) -> dict[str, str]:
        """What stands for it in rows; raises `BadInput` while it is not sealed."""
        if self.sealed_id is None:
            raise BadInput(
                "A clear secret cannot be stored: take it as a parameter, or let a "
                "child before this one return it."
            )
        return {REFERENCE: self.sealed_id}
