"""The book: how one command keeps its promise. README.md beside this is its table of
contents; read the verbs in that order."""
