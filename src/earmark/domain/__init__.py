"""The nouns: what Earmark talks about, with no I/O. Verbs live in `engine`."""
