"""Names of entries: from a call to its key, and from pairs to the keys that carry them. Pure."""

from .finding import Finder, first_pairs, is_entry
from .matching import LEASE, AnyValue, Matcher, every_pattern
from .naming import check_namespace, lease_name, make_key, slot_safe_lease_name
from .pairs import pair_texts

__all__ = [
    "LEASE",
    "AnyValue",
    "Finder",
    "Matcher",
    "check_namespace",
    "every_pattern",
    "first_pairs",
    "is_entry",
    "lease_name",
    "make_key",
    "pair_texts",
    "slot_safe_lease_name",
]
