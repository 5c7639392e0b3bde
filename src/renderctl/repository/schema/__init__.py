"""The tables, and how their rows become objects of the core."""
