"""Pages that stay true: one watcher per process reads for every open page."""
