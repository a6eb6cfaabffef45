"""The command line: one file per noun that it speaks of.

It asks and looks: what it asks for goes into the queue, what it shows is read from the
database. `main` is its door; the composition root hands in what it starts (`launch`).
"""
