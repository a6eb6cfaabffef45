"""What a process is told by its environment; every variable begins with EARMARK_."""

from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from earmark.domain.task import DEFAULT_ZONE


def data_folder() -> Path:
    """The XDG data folder of this user."""
    return Path(platformdirs.user_data_dir("earmark", appauthor=False))


def _default_database() -> str:
    return f"sqlite:///{data_folder() / 'earmark.db'}"


class Settings(BaseSettings):
    """Settings of one process. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="EARMARK_", extra="ignore")

    database_url: str = Field(default_factory=_default_database)
    zone: str = DEFAULT_ZONE
    roles: Annotated[tuple[str, ...], NoDecode] = ("*",)
    commands: Annotated[tuple[str, ...], NoDecode] = ()
    pages: Annotated[tuple[str, ...], NoDecode] = ()
    secret_key_file: Path | None = None
    bind: str = "127.0.0.1:8080"
    url: str = ""
    token: str = ""
    #: How many tasks a worker runs at a time.
    slots: int = Field(default=8, ge=1, le=256)
    #: How often a worker beats, and how long without a beat before others take over.
    beat_seconds: float = Field(default=1.0, gt=0)
    silence_seconds: float = Field(default=10.0, gt=0)
    #: How long a worker that was told to stop lets its calls go on.
    drain_seconds: float = Field(default=30.0, ge=0)
    #: How long a process may sit inside a writing transaction on SQLite.
    writer_seconds: float = Field(default=10.0, gt=0)
    #: How often each provider is refreshed.
    refresh_seconds: float = Field(default=300.0, gt=0)
    #: How often each provider where something can be made is swept for orphans.
    sweep_seconds: float = Field(default=900.0, gt=0)
    #: How long a console may stand still, in both directions, before it is ended.
    console_idle_seconds: float = Field(default=1800.0, gt=0)
    #: Where workers reach this very web process, for consoles; empty: at its address.
    relay_url: str = ""
    #: Off behind a connection pooler that cannot LISTEN: then waiters only poll.
    listen: bool = True

    @field_validator("roles", "commands", "pages", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def key_file(self) -> Path:
        """The secret key's file; beside a SQLite database unless told otherwise."""
        if self.secret_key_file is not None:
            return self.secret_key_file
        prefix = "sqlite:///"
        if self.database_url.startswith(prefix):
            return Path(self.database_url.removeprefix(prefix)).with_suffix(".key")
        return data_folder() / "secret.key"
