"""A plugin's connection to the bus, through the door where there is one."""
