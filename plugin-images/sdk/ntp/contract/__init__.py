"""What crosses a process boundary: names, subjects, messages, beats, launch files. Pure."""

CONTRACT = "1.0"
"""Version of this contract: major must match, a newer minor may add fields."""
