"""What may overwrite what in the inventory: fetch → diff → apply, by rule 18."""
