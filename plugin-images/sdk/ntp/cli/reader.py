"""Whoever reads the output may go before it ends, as `head` does: then a command ends too, quietly."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

READER_GONE = 141
"""128 and SIGPIPE: what a shell says of a program that the signal has ended."""


class Commands(click.Group):
    """A group that ends with `READER_GONE` where click would say 1, as for a bug."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with reader():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with reader():
            return super().invoke(ctx)


@contextmanager
def reader() -> Iterator[None]:
    """End the command where its reader has gone. What is still buffered leads into nowhere."""
    try:
        yield
    except BrokenPipeError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(READER_GONE) from None
