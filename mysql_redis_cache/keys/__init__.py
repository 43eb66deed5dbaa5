"""Names of entries: from a call to its key, and from pairs to the keys that carry them. Pure."""

from .finding import Finder, first_pairs, is_entry
from .matching import LEASE, Matcher, every_pattern
from .naming import check_namespace, lease_name, make_key, query_digest, slot_safe_lease_name
from .pairs import Tags, pair_texts, tag_pairs

__all__ = [
    "LEASE",
    "Finder",
    "Matcher",
    "Tags",
    "check_namespace",
    "every_pattern",
    "first_pairs",
    "is_entry",
    "lease_name",
    "make_key",
    "pair_texts",
    "query_digest",
    "slot_safe_lease_name",
    "tag_pairs",
]
