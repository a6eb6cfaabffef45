"""The ledger: which requests came, in which order, and what was really done.

It is the tests' witness. A request is written down before it is handled, and an
effect in the transaction that brings it about.
"""

from earmark.lab.model import Json, iso
from earmark.lab.site import Site


def record_request(
    site: Site, method: str, path: str, verb: str | None, token: str | None
) -> int:
    """Write down an arrival, in the open transaction; return its number.

    Its outcome stays None while it is handled, and for good if the lab dies then.
    """
    written = site.execute(
        "INSERT INTO requests (at, method, path, verb, token) VALUES (?, ?, ?, ?, ?)",
        site.now(),
        method,
        path,
        verb,
        token,
    )
    assert written.lastrowid is not None
    return written.lastrowid


def record_outcome(site: Site, seq: int, outcome: str, status: int | None) -> None:
    """Write down how a request ended; ``status`` is None when no answer was sent."""
    with site.transaction():
        site.execute(
            "UPDATE requests SET outcome = ?, status = ? WHERE seq = ?",
            outcome,
            status,
            seq,
        )


def record_effect(site: Site, verb: str, token: str | None, changed: str) -> None:
    """Write down that something was really done, in the open transaction."""
    site.execute(
        "INSERT INTO effects (at, verb, token, object) VALUES (?, ?, ?, ?)",
        site.now(),
        verb,
        token,
        changed,
    )


def read(site: Site) -> Json:
    """Return the whole ledger, oldest first."""
    return {
        table: [
            {**dict(row), "at": iso(row["at"])}
            for row in site.rows(f"SELECT * FROM {table} ORDER BY seq")  # noqa: S608 - names of ours
        ]
        for table in ("requests", "effects")
    }


def clear(site: Site) -> None:
    """Forget all that was written; the numbers go on from where they were."""
    with site.transaction():
        site.execute("DELETE FROM requests")
        site.execute("DELETE FROM effects")
