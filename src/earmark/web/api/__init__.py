"""REST under `/api/v1`: the same reads and the same commands, for programs."""
