"""Names that are unique among the things of one kind."""

from earmark.lab.model import Refused
from earmark.lab.site import Site


def refuse_taken(site: Site, kind: str, name: str) -> None:
    """Raise Refused when a thing of that kind has the name, or is on its way with it.

    ``kind`` is singular, as in the verb that makes such things.
    """
    there = site.row(f"SELECT 1 FROM {kind}s WHERE name = ?", name)  # noqa: S608
    coming = site.row(
        """SELECT 1 FROM tasks WHERE verb = ?
        AND state IN ('init', 'running') AND fate = 'ok'
        AND json_extract(params, '$.name') = ?""",
        f"{kind}.create",
        name,
    )
    if there is not None or coming is not None:
        raise Refused(409, "name-taken", f"a {kind} of this name exists")
