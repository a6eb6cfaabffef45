"""From rows to views: what pages and streams show, for many objects in a constant
number of statements."""
