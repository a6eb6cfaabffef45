"""Secrets at rest: AES-256-GCM under one key, which lives in a file of its own.

A sealed secret is a header (`EM1`, then the id of the key), a nonce and the
ciphertext. Header and context are authenticated: a sealed row that is moved to
another id, altered or cut short does not open.
"""

import base64
import binascii
import hashlib
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from earmark.domain.errors import Unavailable

MAGIC = b"EM1"
KEY_BYTES = 32
KEY_ID_BYTES = 8
#: The size that GCM is specified for (NIST SP 800-38D). Random nonces under one key
#: stay safe for 2**32 secrets.
NONCE_BYTES = 12
TAG_BYTES = 16

_HEADER_BYTES = len(MAGIC) + KEY_ID_BYTES
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO | stat.S_IXUSR


class FileVault:
    """Implements `domain.connector.Vault` with the key of one file.

    Made by `create` or `load`; `key_id` names the key without telling it.
    """

    __slots__ = ("_cipher", "_path", "key_id")

    def __init__(self, key: bytes, path: Path) -> None:
        self.key_id = hashlib.sha256(key).digest()[:KEY_ID_BYTES]
        self._cipher = AESGCM(key)
        self._path = path

    def __repr__(self) -> str:
        return f"FileVault({str(self._path)!r}, key {self.key_id.hex()})"

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make the key file if there is none, then load it.

        Of several processes that do this at once, one makes the key and all load
        it. Raises `Unavailable` as `load` does, and when the file cannot be made.
        """
        if not path.exists():
            try:
                _make_key_file(path)
            except OSError as error:
                raise Unavailable(
                    f"The key file {path} cannot be made: {error.strerror}.",
                    hint="Set EARMARK_SECRET_KEY_FILE to a path that can be written.",
                ) from error
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the key.

        Raises `Unavailable`, with a hint, when the file is missing, damaged, not
        ours, or readable by others.
        """
        return cls(_decode(_read_private(path), path), path)

    def seal(self, clear: str, context: str) -> bytes:
        """Encrypt, bound to `context` (the secret's id): moved rows do not open."""
        header = MAGIC + self.key_id
        nonce = os.urandom(NONCE_BYTES)
        bound = header + context.encode()
        return header + nonce + self._cipher.encrypt(nonce, clear.encode(), bound)

    def open(self, sealed: bytes, context: str) -> str:
        """Decrypt what was sealed for `context`.

        Raises `Unavailable` when it was sealed with another key, for another
        context, or is damaged.
        """
        header, rest = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        if not header.startswith(MAGIC) or len(rest) < NONCE_BYTES + TAG_BYTES:
            raise _does_not_open("it is damaged or was not sealed by Earmark")
        wanted = header[len(MAGIC) :]
        if wanted != self.key_id:
            raise Unavailable(
                f"A secret was sealed with key {wanted.hex()}, but {self._path} "
                f"holds key {self.key_id.hex()}.",
                hint=f"Put the file with key {wanted.hex()} back and point "
                "EARMARK_SECRET_KEY_FILE at it, or enter the secret again.",
            )
        nonce, ciphertext = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
        try:
            clear = self._cipher.decrypt(nonce, ciphertext, header + context.encode())
        except InvalidTag:
            raise _does_not_open("it was altered or moved to another row") from None
        return clear.decode()


def _does_not_open(why: str) -> Unavailable:
    return Unavailable(
        f"A sealed secret does not open: {why}.", hint="Enter the secret again."
    )


def _make_key_file(path: Path) -> None:
    """Make the file whole or not at all, and leave one alone that is there by now.

    The key is written under another name first and then linked: a reader never sees
    an empty file, and a link, other than a rename, replaces nothing.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    text = base64.b64encode(os.urandom(KEY_BYTES)) + b"\n"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            # Secrets are sealed and committed next: the key must outlive a power cut.
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # somebody was faster: theirs is the key
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_private(path: Path) -> bytes:
    """Read a file after making sure, on the open file, that only we can."""
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_uid != os.geteuid():
                raise Unavailable(
                    f"The key file {path} belongs to another user.",
                    hint=f"chown {os.geteuid()} {path}",
                )
            if not stat.S_ISREG(facts.st_mode) or facts.st_mode & _OTHERS_MAY:
                raise Unavailable(
                    f"The key file {path} is open to others "
                    f"({stat.filemode(facts.st_mode)}).",
                    hint=f"chmod 600 {path}",
                )
            return file.read(1024)
    except FileNotFoundError:
        raise Unavailable(
            f"There is no key file {path}.",
            hint="Point EARMARK_SECRET_KEY_FILE at the key that sealed the secrets.",
        ) from None
    except OSError as error:
        raise Unavailable(
            f"The key file {path} cannot be read: {error.strerror}.",
            hint=f"chown {os.geteuid()} {path}; chmod 600 {path}",
        ) from error


def _decode(text: bytes, path: Path) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise Unavailable(
            f"The key file {path} is damaged: it must hold {KEY_BYTES} bytes in "
            "base64.",
            hint="Restore it from a backup; without it, sealed secrets are lost.",
        )
    return key
