"""Other programs that the tests run and talk to, each wrapped in one class."""
