"""The classes that authors extend."""
