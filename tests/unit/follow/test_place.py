"""Where in a log a follower is: moved by events, and by nothing that is not in the file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.binlog.events import Header
from mysql_redis_cache.binlog.files import FormatDescription, Heartbeat, Rotate, Stop
from mysql_redis_cache.binlog.transactions import Xid
from mysql_redis_cache.follow.place import Followed, Place, Position
from mysql_redis_cache.gtids import parse_gtid_set

ARTIFICIAL = 0x20
A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "3e11fa47-71ca-11e1-9e33-c80aa9429563"


def header(following: int = 0, stamp: int = 0, flags: int = 0) -> Header:
    return Header(stamp, 0, 1, 0, following, flags)


def begin(file: str, offset: int = 4, flags: int = ARTIFICIAL) -> Rotate:
    return Rotate(header(flags=flags), offset, file)


def described(born: int) -> FormatDescription:
    return FormatDescription(header(120, born), 4, "9.7.4", 0, b"", 1)


def place(*events: object, position: Position | None = None) -> Place:
    made = Place(position or Position("server"))
    for event in events:
        assert made.feed(event) is None  # type: ignore[arg-type]
    return made


def test_events_move_the_place() -> None:
    """Each event says where the next one stands, a heartbeat up to where there is nothing in its file."""
    there = place(begin("bin.1"), described(50), Xid(header(400, 60), 1))
    assert (there.file, there.offset, there.born, there.stamp) == ("bin.1", 400, 50, 60)
    for file, position, offset in [("bin.2", 999, 400), ("bin.1", 300, 400), ("bin.1", 999, 999)]:
        there.feed(Heartbeat(header(position), file, position))
        assert (there.file, there.offset, there.born, there.stamp) == ("bin.1", offset, 50, 60)


def test_a_rotation_leads_to_the_next_file() -> None:
    """A file that ends in order is no sign of a crash, whether by rotation or by a shutdown."""
    start = [begin("bin.1"), described(50), Xid(header(400, 60), 1)]
    for end in (begin("bin.2", flags=0), Stop(header(420))):
        there = place(*start, end, begin("bin.2"), described(70))
        assert (there.file, there.born, there.has_crashed) == ("bin.2", 70, False)


def test_a_file_that_just_ends_is_a_crash() -> None:
    """Without a word at its end, its server was killed."""
    there = place(begin("bin.1"), described(50), Xid(header(400, 60), 1), begin("bin.2"), described(70))
    assert there.has_crashed


def test_going_on_at_the_end_of_a_crashed_file_is_noticed() -> None:
    """Also if the crash was while nobody followed."""
    position = Position("server", "bin.1", 400, 50)
    assert place(
        begin("bin.1", 400), described(50), begin("bin.2"), described(70), position=position
    ).has_crashed


def test_a_file_that_was_born_again_is_another() -> None:
    """RESET begins the names anew: the birth of the file tells."""
    there = Place(Position("server", "bin.1", 400, 50))
    assert there.feed(begin("bin.1", 400)) is None
    assert "was reset" in str(there.feed(described(51)))


def test_an_offset_beyond_four_gigabytes_is_left_to_the_gtids() -> None:
    """Events hold 32 bits of it, so it cannot be asked for any more."""
    there = place(begin("bin.1"), described(50), Xid(header(2**32 - 5), 1), Xid(header(90), 1))
    assert there.file == ""


def test_mysql_gtids_are_kept_as_a_set() -> None:
    """In order or not, tagged or not, the text is the set that the server writes."""
    followed = Followed(f"{A}:1-3", is_mariadb=False)
    for gtid in (f"{A}:4", f"{A}:7", f"{B}:1", f"{A}:tag:1", f"{A}:5", f"{A}:6"):
        followed.add(gtid)
    assert str(followed) == f"{A}:1-7:tag:1,{B}:1"


@given(st.lists(st.integers(1, 60), min_size=1), st.integers(1, 9))
def test_any_order_of_gtids_is_one_set(numbers: list[int], first: int) -> None:
    """Whatever comes twice or late, nothing is lost and nothing added."""
    followed = Followed(f"{A}:{first}", is_mariadb=False)
    for number in numbers:
        followed.add(f"{A}:{number}")
    (ranges,) = parse_gtid_set(str(followed)).values()
    assert {number for low, high in ranges for number in range(low, high + 1)} == {first, *numbers}


def test_mariadb_gtids_are_the_last_of_each_domain() -> None:
    """Other domains stay as they are."""
    followed = Followed("0-1-5,3-1-7", is_mariadb=True)
    followed.add("0-2-6")
    assert str(followed) == "0-2-6,3-1-7"


WHOLE = Position("server", "bin.000001", 4, 1, "0-1-5", 2)


def test_a_position_goes_through_json() -> None:
    """What is kept in Redis comes back the same."""
    assert Position.from_json(WHOLE.as_json()) == WHOLE


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        [],
        "x",
        {"server": "x"},
        {**WHOLE.as_json(), "offset": "x"},
        {**WHOLE.as_json(), "prepared": 1},
    ],
)
def test_nonsense_is_no_position(data: object) -> None:
    """Whatever stands in Redis in its place, it is a position or it is not."""
    assert Position.from_json(data) is None  # type: ignore[arg-type]
