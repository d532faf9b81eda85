"""The camera of a shot held still."""
