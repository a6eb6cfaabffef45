"""What keeps secrets secret and tells who is asking."""
