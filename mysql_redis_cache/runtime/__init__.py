"""The process: forks, waiting that survives signals, TLS contexts. Knows no server and no cache."""

from .context import Marks, Reservation, apart, is_clear, reserved_slot, with_reservation
from .repeating import Repeater
from .slots import Slot, Slots, SlotsClosed
from .tls import SharedContext, advice, forget_errors
from .waiters import Flag, Ticket, Waiters, WaitQueue

__all__ = [
    "Flag",
    "Marks",
    "Repeater",
    "Reservation",
    "SharedContext",
    "Slot",
    "Slots",
    "SlotsClosed",
    "Ticket",
    "WaitQueue",
    "Waiters",
    "advice",
    "apart",
    "forget_errors",
    "is_clear",
    "reserved_slot",
    "with_reservation",
]
