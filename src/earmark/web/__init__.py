"""The face: pages that show what is true, and forms that ask for work."""
