"""The web's end of consoles: a browser's stream and a worker's relay meet here."""
