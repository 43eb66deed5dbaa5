"""The event that holds a compressed transaction."""

from __future__ import annotations

from dataclasses import dataclass

from .events import Event

__all__ = ["TransactionPayload"]


@dataclass(frozen=True, slots=True)
class TransactionPayload(Event):
    """MySQL: a compressed transaction. The events in it come next, as if they stood in the log themselves.

    Attributes:
        compression: 0 is zstd, 255 is none.
        size: in bytes, as it stands in the log.
        uncompressed_size: in bytes, as the event says; 0 if it does not.
    """

    compression: int
    size: int
    uncompressed_size: int
