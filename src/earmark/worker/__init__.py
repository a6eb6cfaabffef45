"""Worker processes: claim tasks, run them, poll providers, recover what others left.

`process` puts the loops together; each loop is a file. The verbs are the engine's.
"""
