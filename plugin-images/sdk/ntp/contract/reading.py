"""Reading what somebody else sent: whatever is no message raises one error, so that it ends nobody."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")


def reader(decoder: "msgspec.json.Decoder[T]") -> Callable[[bytes], T]:
    """Return the decoder's `decode`, that raises MsgspecError whatever is wrong with the bytes.

    By itself it raises UnicodeDecodeError for what is not UTF-8, and RecursionError for what is
    nested too deeply.
    """
    decode = decoder.decode

    def read(payload: bytes) -> T:
        try:
            return decode(payload)
        except UnicodeDecodeError as error:
            raise msgspec.DecodeError("it is not UTF-8") from error
        except RecursionError as error:
            raise msgspec.DecodeError("it is nested too deeply") from error

    return read
