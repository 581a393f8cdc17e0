"""What to do about it. Pure: no I/O, no clock, no logging, no chance."""
