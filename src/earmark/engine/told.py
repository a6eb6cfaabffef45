"""Told: errors in words for people, and in codes for programs."""

from earmark.domain.errors import EarmarkError
from earmark.engine.authored import clean


def told(error: Exception) -> str:
    """An error as one line for a person."""
    if isinstance(error, EarmarkError):
        return clean(f"{error} {error.hint}").strip()
    text = " ".join(clean(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def code_of(error: Exception) -> str:
    """The code that programs look at."""
    return error.code if isinstance(error, EarmarkError) else "exception"
