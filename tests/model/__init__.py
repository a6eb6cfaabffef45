"""The protocol as an explicit-state model, and traces of the engine checked against it;
see docs/explanation/model.md."""
