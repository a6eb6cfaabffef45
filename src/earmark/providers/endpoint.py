"""The addresses that people give us, checked before anything is sent there."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def checked_url(url: str) -> str:
    """Return the URL without a trailing slash; raise `ValueError` saying what is wrong.

    Credentials in a URL end up in logs and error messages, so they are refused.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError("this is no URL") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("the URL must begin with http:// or https://")
    if not parts.hostname or port == 0:
        raise ValueError("the URL must name a host: https://host:port")
    if parts.username is not None or parts.password is not None:
        raise ValueError("leave the credentials out of the URL")
    if parts.query or parts.fragment:
        raise ValueError("the URL must not have a ? or # part")
    return url.strip().rstrip("/")


Url = Annotated[str, AfterValidator(checked_url)]
