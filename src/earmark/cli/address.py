"""Where the web listens: reading `EARMARK_BIND`, and whether it is free."""

import socket
from dataclasses import dataclass

from earmark.domain.errors import BadInput, Unavailable


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 means any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read HOST:PORT; raises `BadInput`."""
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isdecimal() or int(port) > 65535:
            raise BadInput(
                f"{text!r} is not HOST:PORT.", hint="Such as 127.0.0.1:8080."
            )
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def free(self, option: str = "--bind") -> "Address":
        """This address, its port chosen if it was 0; raises `Unavailable` when
        another process has it, and names the option that chooses another."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            with socket.create_server((self.host, self.port), family=family) as server:
                return Address(self.host, server.getsockname()[1])
        except OSError as error:
            raise Unavailable(
                f"Cannot listen on {self}: {(error.strerror or str(error)).lower()}.",
                hint=f"Stop who does, or choose another address with {option}.",
            ) from None
