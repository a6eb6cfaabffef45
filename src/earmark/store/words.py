"""The words that somebody looks for."""

from earmark.domain.errors import BadInput

#: Each is a condition of its own, and SQLite takes a thousand at most.
MOST = 20


def words_of(text: str) -> list[str]:
    """Split what was typed into words; raises `BadInput` for more than `MOST`."""
    found = text.split()
    if len(found) > MOST:
        raise BadInput(
            f"{len(found)} words were looked for, and at most {MOST} can be.",
            hint="Look for fewer.",
            fields={"q": "has too many words"},
        )
    return found
