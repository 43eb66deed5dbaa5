"""Names of entries: from a call to its key, and from pairs to the keys that carry them. Pure."""

from .finding import Finder, first_pairs, is_entry
from .matching import LEASE, AnyValue, Matcher, every_pattern
from .namespace import Combinations, Namespace, check_namespace, in_order
from .naming import lease_name, make_key, query_digest, slot_safe_lease_name
from .pairs import Tagged, Tags, pair_texts, tag_pairs
from .wanted import Exact, Sought, Wanted, Whole, as_json, from_json

__all__ = [
    "LEASE",
    "AnyValue",
    "Combinations",
    "Exact",
    "Finder",
    "Matcher",
    "Namespace",
    "Sought",
    "Tagged",
    "Tags",
    "Wanted",
    "Whole",
    "as_json",
    "check_namespace",
    "every_pattern",
    "first_pairs",
    "from_json",
    "in_order",
    "is_entry",
    "lease_name",
    "make_key",
    "pair_texts",
    "query_digest",
    "slot_safe_lease_name",
    "tag_pairs",
]
