"""What each column type is on either side: the table behind `test_values.py`.

A value is written as its reader in Python gets it. Where the npm package stores something else for the same
column, the case has a *node* value, and says why by one of the constants below: these are all the documented
differences. Each reader gets what the writer stored, so the two values of a case tell all four outcomes.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

DATES = "npm writes dates as instants of its own time zone, we write what the server says; see dates='npm'"
MICROSECONDS = "a JavaScript Date has milliseconds"
ODD_DATES = "mysql2 turns zero, partial and early dates into other dates or null; we keep the server's text"
NUMERIC_TEXT = "npm turns text that looks like a number into a number; we keep text"
DIGITS = "a JavaScript number has 53 bits; our entry has every digit, of which Node reads the first 53 bits"
DOUBLES = "JavaScript prints 17 digits of a whole double, then zeros, which make another int in Python"
MINUS_ZERO = "JSON.stringify writes -0 as 0"
VECTOR_NULL = "mysql2 reads a NULL vector as an empty list"

Server = Literal["any", "mariadb", "mysql", "vector"]


class Same:
    """Marks that npm stores the value we store."""


SAME = Same()


class Case(NamedTuple):
    """One value of one column type."""

    sql_type: str
    literal: str
    python: Any
    node: Any = SAME
    why: str = ""
    server: Server = "any"

    @property
    def in_node(self) -> Any:
        """What npm stores, and so what its own users get on a hit."""
        return self.python if self.node is SAME else self.node


def at(x: float, y: float) -> dict[str, float]:
    """A point as mysql2 writes it; with coordinates as floats, of which a whole one is `1.0` in our JSON."""
    return {"x": float(x), "y": float(y)}


GEOMETRIES = "GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))"
CONTROL = "CONCAT(CHAR(0),CHAR(8),CHAR(9),CHAR(10),CHAR(13),CHAR(31),CHAR(127))"
UUID_TEXT = "550e8400-e29b-41d4-a716-446655440000"

CASES: dict[str, Case] = {
    # integers
    "tinyint_1": Case("TINYINT(1)", "1", 1),
    "bool": Case("BOOL", "TRUE", 1),
    "tinyint": Case("TINYINT", "-128", -128),
    "smallint_unsigned": Case("SMALLINT UNSIGNED", "65535", 65535),
    "mediumint": Case("MEDIUMINT", "-8388608", -8388608),
    "int": Case("INT", "0", 0),
    "int_unsigned": Case("INT UNSIGNED", "4294967295", 4294967295),
    "int_zerofill": Case("INT(6) UNSIGNED ZEROFILL", "42", 42),
    "int_null": Case("INT", "NULL", None),
    "bigint_2_to_53": Case("BIGINT", "9007199254740992", 2**53),
    "bigint_above": Case("BIGINT", "9007199254740993", 2**53 + 1, 2**53, DIGITS),
    "bigint_max": Case("BIGINT", "9223372036854775807", 2**63 - 1, 9223372036854776000, DIGITS),
    "bigint_min": Case("BIGINT", "-9223372036854775808", -(2**63)),
    "bigint_unsigned": Case(
        "BIGINT UNSIGNED", "18446744073709551615", 2**64 - 1, float(18446744073709552000), DIGITS
    ),
    "year": Case("YEAR", "2026", 2026),
    # decimals and floating point
    "decimal": Case("DECIMAL(10,2)", "1.50", 1.5),
    "decimal_whole": Case("DECIMAL(5,0)", "5", 5.0),
    "decimal_money": Case("DECIMAL(19,4)", "922337203685477.5807", 922337203685477.6),
    "decimal_20_digits": Case(
        "DECIMAL(20,0)", "12345678901234567890", 1.2345678901234567e19, 12345678901234567000, DOUBLES
    ),
    "decimal_65_digits": Case("DECIMAL(65,0)", "9" * 65, 1e65),
    "decimal_small": Case("DECIMAL(65,30)", f"0.{'0' * 29}1", 1e-30),
    "decimal_null": Case("DECIMAL(10,2)", "NULL", None),
    "float": Case("FLOAT", "1.5", 1.5),
    "double": Case("DOUBLE", "0.1", 0.1),
    "double_whole": Case("DOUBLE", "1e15", 1e15),
    "double_17_digits": Case("DOUBLE", "39019639597071696", 39019639597071696.0, 39019639597071700, DOUBLES),
    "double_1e20": Case("DOUBLE", "1e20", 1e20),
    "double_1e21": Case("DOUBLE", "1e21", 1e21),
    "double_small": Case("DOUBLE", "0.00001", 0.00001),
    "double_max": Case("DOUBLE", "1.7976931348623157e308", 1.7976931348623157e308),
    "double_min": Case("DOUBLE", "5e-324", 5e-324),
    "double_minus_zero": Case("DOUBLE", "-0e0", -0.0, 0, MINUS_ZERO, "mysql"),
    # text
    "char": Case("CHAR(10)", "'ab   '", "ab"),
    "varchar": Case("VARCHAR(64)", "'é ñ 日本語'", "é ñ 日本語"),
    "emoji": Case("VARCHAR(64)", "'😀👩\u200d👩\u200d👧'", "😀👩\u200d👩\u200d👧"),
    "quotes": Case("VARCHAR(64)", """'a"b\\\\c/d'""", 'a"b\\c/d'),
    "control": Case("VARCHAR(64)", CONTROL, "\0\b\t\n\r\x1f\x7f"),
    "latin1": Case("VARCHAR(64) CHARACTER SET latin1", "'é'", "é"),
    "utf16": Case("VARCHAR(64) CHARACTER SET utf16", "'é😀'", "é😀"),
    "text": Case("TEXT", "'héllo'", "héllo"),
    "text_empty": Case("TEXT", "''", ""),
    "text_null": Case("TEXT", "NULL", None),
    "enum": Case("ENUM('small','large')", "'large'", "large"),
    "set": Case("SET('a','b','c')", "'a,c'", "a,c"),
    "date_like": Case("VARCHAR(64)", "'2026-01-02'", "2026-01-02"),
    "json_like": Case("VARCHAR(64)", """'{"a":1}'""", '{"a":1}'),
    "exponent_like": Case("VARCHAR(64)", "'1e5'", "1e5"),
    "uuid": Case("UUID", f"'{UUID_TEXT}'", UUID_TEXT, server="mariadb"),
    "inet6": Case("INET6", "'::ffff:192.0.2.1'", "::ffff:192.0.2.1", server="mariadb"),
    "inet4": Case("INET4", "'192.0.2.1'", "192.0.2.1", server="mariadb"),
    # text that looks like a number
    "postcode": Case("VARCHAR(64)", "'01234'", "01234", 1234, NUMERIC_TEXT),
    "version": Case("VARCHAR(64)", "'3.10'", "3.10", 3.1, NUMERIC_TEXT),
    "trailing_dot": Case("VARCHAR(64)", "'5.'", "5.", 5, NUMERIC_TEXT),
    "phone": Case("CHAR(10)", "'3331234567'", "3331234567", 3331234567, NUMERIC_TEXT),
    "long_digits": Case("TEXT", "'90071992547409931'", "90071992547409931", 90071992547409940, NUMERIC_TEXT),
    "numeric_enum": Case("ENUM('1','010')", "'010'", "010", 10, NUMERIC_TEXT),
    "numeric_set": Case("SET('1','2')", "'2'", "2", 2, NUMERIC_TEXT),
    # binary
    "binary": Case("BINARY(3)", "X'00ff61'", b"\0\xffa"),
    "varbinary": Case("VARBINARY(64)", "X'68c3a9'", b"h\xc3\xa9"),
    "blob": Case("BLOB", "X'cafebabe'", b"\xca\xfe\xba\xbe"),
    "blob_empty": Case("BLOB", "''", b""),
    "blob_null": Case("BLOB", "NULL", None),
    "longblob": Case("LONGBLOB", "X'303037'", b"007"),
    "bit_1": Case("BIT(1)", "b'1'", b"\x01"),
    "bit_64": Case("BIT(64)", "18446744073709551615", b"\xff" * 8),
    # dates and times
    "date": Case("DATE", "'2026-11-22'", "2026-11-22", "2026-11-22T00:00:00.000Z", DATES),
    "date_max": Case("DATE", "'9999-12-31'", "9999-12-31", "9999-12-31T00:00:00.000Z", DATES),
    "date_null": Case("DATE", "NULL", None),
    "datetime": Case(
        "DATETIME", "'2026-11-22 13:14:15'", "2026-11-22T13:14:15", "2026-11-22T13:14:15.000Z", DATES
    ),
    "datetime_midnight": Case(
        "DATETIME", "'2026-11-22 00:00:00'", "2026-11-22T00:00:00", "2026-11-22T00:00:00.000Z", DATES
    ),
    "datetime_6": Case(
        "DATETIME(6)",
        "'2026-11-22 13:14:15.123456'",
        "2026-11-22T13:14:15.123456",
        "2026-11-22T13:14:15.123Z",
        MICROSECONDS,
    ),
    "timestamp": Case(
        "TIMESTAMP NULL", "'2026-07-04 12:00:00'", "2026-07-04T12:00:00", "2026-07-04T12:00:00.000Z", DATES
    ),
    "timestamp_6": Case(
        "TIMESTAMP(6) NULL",
        "'2026-11-22 13:14:15.999999'",
        "2026-11-22T13:14:15.999999",
        "2026-11-22T13:14:15.999Z",
        MICROSECONDS,
    ),
    "date_zero": Case("DATE", "'0000-00-00'", "0000-00-00", "1899-11-30T00:00:00.000Z", ODD_DATES),
    "date_partial": Case("DATE", "'2026-11-00'", "2026-11-00", "2026-10-31T00:00:00.000Z", ODD_DATES),
    "date_year_1": Case("DATE", "'0001-01-01'", "0001-01-01", "1901-01-01T00:00:00.000Z", ODD_DATES),
    "datetime_zero": Case("DATETIME", "'0000-00-00 00:00:00'", "0000-00-00 00:00:00", None, ODD_DATES),
    "time": Case("TIME", "'12:34:56'", "12:34:56"),
    "time_long": Case("TIME", "'838:59:59'", "838:59:59"),
    "time_negative": Case("TIME(6)", "'-00:00:00.5'", "-00:00:00.500000"),
    "time_null": Case("TIME", "NULL", None),
    # JSON
    "json_object": Case("JSON", """'{"a": [1, 2.5, null, true]}'""", {"a": [1, 2.5, None, True]}),
    "json_unicode": Case("JSON", """'{"s": "é😀"}'""", {"s": "é😀"}),
    "json_list": Case("JSON", """'[1, "2", 3.0]'""", [1, "2", 3.0]),
    "json_number": Case("JSON", "'42'", 42),
    "json_true": Case("JSON", "'true'", True),
    "json_null": Case("JSON", "'null'", None),
    "json_proto": Case("JSON", """'{"__proto__": {"x": 1}}'""", {"__proto__": {"x": 1}}),
    "json_big": Case("JSON", "'9223372036854775807'", 2**63 - 1, 9223372036854776000, DIGITS),
    "json_numeric_string": Case("JSON", """'"00123"'""", "00123", 123, NUMERIC_TEXT),
    "json_nested_numeric_string": Case("JSON", """'{"z": "00123"}'""", {"z": "00123"}),
    "json_sql_null": Case("JSON", "NULL", None),
    # geometry and vectors
    "point": Case("POINT", "ST_GeomFromText('POINT(1.5 -2)')", at(1.5, -2)),
    "linestring": Case("LINESTRING", "ST_GeomFromText('LINESTRING(0 0,1 1)')", [at(0, 0), at(1, 1)]),
    "polygon": Case(
        "POLYGON",
        "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')",
        [[at(0, 0), at(1, 0), at(1, 1), at(0, 0)]],
    ),
    "geometries": Case(
        "GEOMETRYCOLLECTION",
        f"ST_GeomFromText('{GEOMETRIES}')",
        [at(1, 1), [at(0, 0), at(1, 1)]],
    ),
    "geometry_null": Case("GEOMETRY", "NULL", None),
    "vector": Case("VECTOR(3)", "STRING_TO_VECTOR('[1, 2.5, -3]')", [1.0, 2.5, -3.0], server="vector"),
    "vector_null": Case("VECTOR(3)", "NULL", None, [], VECTOR_NULL, "vector"),
}
