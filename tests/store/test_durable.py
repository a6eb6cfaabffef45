"""A commit is on the disk when it returns: an intent that a power cut takes back would
have been sent all the same (rule 15)."""

from earmark.engine.runtime import Engine

#: How each store is asked, and what it says when it does not return before that.
ASKED = {
    "sqlite": ("PRAGMA synchronous", "2"),  # FULL
    "postgresql": ("SHOW synchronous_commit", "on"),
}


def test_a_commit_waits_for_the_disk(engine: Engine) -> None:
    query, full = ASKED[engine.database.engine.dialect.name]
    said = engine.write(lambda tx: tx.connection.exec_driver_sql(query).scalar_one())
    assert str(said) == full
