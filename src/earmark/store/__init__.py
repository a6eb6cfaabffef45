"""The store: one schema on SQLite and PostgreSQL, reached through transactions.

`schema` says what is kept, `database` opens transactions, `dialect` holds every
difference between the two engines, `wakeups` tells who waits; the other modules are
named reads and guarded writes, a noun each.
"""
