"""Tables of character sets: which collation has which, and where the servers differ from Python's codecs.

Recorded from the servers' ``information_schema`` and from what they convert to utf8mb4.
"""

from __future__ import annotations

__all__ = ["COLLATIONS", "MULTI_BYTE", "NEC_AND_IBM", "SINGLE_BYTE"]

COLLATIONS = {
    "utf8mb4": "45-46 224-247 255-271 273-275 277-294 296-298 300 303-323 608-611 2304-2471 2488-2503",
    "utf8mb3": "33 76 83 192-215 223 576-579 2048-2215 2232-2247",
    "binary": "63",
    "latin1": "5 8 15 31 47-49 94",
    "ascii": "11 65",
    "armscii8": "32 64",
    "big5": "1 84",
    "cp1250": "26 34 44 66 99",
    "cp1251": "14 23 50-52",
    "cp1256": "57 67",
    "cp1257": "29 58-59",
    "cp850": "4 80",
    "cp852": "40 81",
    "cp866": "36 68",
    "cp932": "95-96",
    "dec8": "3 69",
    "eucjpms": "97-98",
    "euckr": "19 85",
    "gb18030": "248-250",
    "gb2312": "24 86",
    "gbk": "28 87",
    "geostd8": "92-93",
    "greek": "25 70",
    "hebrew": "16 71",
    "hp8": "6 72",
    "keybcs2": "37 73",
    "koi8r": "7 74",
    "koi8u": "22 75",
    "latin2": "2 9 21 27 77",
    "latin5": "30 78",
    "latin7": "20 41-42 79",
    "macce": "38 43",
    "macroman": "39 53",
    "sjis": "13 88",
    "swe7": "10 82",
    "tis620": "18 89",
    "ucs2": "35 90 128-151 159 640-642 2560-2727 2744-2759",
    "ujis": "12 91",
    "utf16": "54-55 101-124 672-674 2816-2983 3000-3015",
    "utf16le": "56 62",
    "utf32": "60-61 160-183 736-738 3072-3239 3256-3271",
}
"""The numbers of each set's collations.

Those from 576 on are MariaDB's alone; its collations that do not pad have the same numbers 1024 higher.
"""

_HOLE = "\ufffe"  # what charmap_decode takes for "no character"
_REPLACED = "\ufffd"  # what the servers themselves give for some bytes


def _table(codec: str, upper: str = "", **exceptions: str) -> str:
    """Write out 256 characters: a codec's, the upper half if given, and then the exceptions, ``xA4="…"``."""
    characters = [bytes([byte]).decode(codec, "replace").replace(_REPLACED, _HOLE) for byte in range(256)]
    characters[256 - len(upper) :] = upper
    for place, character in exceptions.items():
        characters[int(place[1:], 16)] = character
    return "".join(characters)


def _holes(places: str) -> dict[str, str]:
    return {f"x{place}": _HOLE for place in places.split()}


_ARMENIAN = "ԱաԲբԳգԴդԵեԶզԷէԸըԹթԺժԻիԼլԽխԾծԿկՀհՁձՂղՃճՄմՅյՆնՇշՈոՉչՊպՋջՌռՍսՎվՏտՐրՑցՒւՓփՔքՕօՖֆ"
_CZECH = (
    "ČüéďäĎŤčěĚĹÍľĺÄÁÉžŽôöÓůÚýÖÜŠĽÝŘťáíóúňŇŮÔšřŕŔ¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀"
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\xa0"
)
_GEORGIAN = "აბგდევზჱთიკლმნჲოპჟრსტჳუფქღყშჩცძწჭხჴჯჰჵ"
_LATIN_1 = "".join(map(chr, range(0xA0, 0xC0)))

SINGLE_BYTE = {
    "ascii": _table("ascii"),
    "armscii8": _table("latin_1", "\xa0\u2741§։)(»«—.՝,-՟…՜՛՞" + _ARMENIAN + "’'"),
    "cp1250": _table("cp1250"),
    "cp1251": _table("cp1251"),
    "cp1256": _table("cp1256", **_holes("8A 8F 98 9A 9F AA C0 FF")),
    "cp1257": _table("cp1257"),
    "cp850": _table("cp850"),
    "cp852": _table("cp852"),
    "cp866": _table("cp866", xFC="ⁿ", xFD="²"),
    "dec8": _table(
        "latin_1",
        xA8="¤",
        xD7="Œ",
        xDD="Ÿ",
        xF7="œ",
        xFD="ÿ",
        **_holes("A4 A6 AC AD AE AF B4 B8 BE D0 DE F0 FE FF"),
    ),
    "geostd8": _table(
        "cp1252",
        _LATIN_1 + _GEORGIAN + _HOLE * 23 + "№" + _HOLE * 2,
        **_holes("83 88 8A 8C 8E 98 99 9A 9C 9E 9F"),
    ),
    "greek": _table("iso8859_7", xA1="ʽ", xA2="ʼ", **_holes("A4 A5 AA")),
    "hebrew": _table("iso8859_8", xAF="‾"),
    "hp8": _table("hp_roman8"),
    "keybcs2": _table("ascii", _CZECH),
    "koi8r": _table("koi8_r"),
    "koi8u": _table("koi8_u", x95="•"),
    "latin1": _table("cp1252", x81="\x81", x8D="\x8d", x8F="\x8f", x90="\x90", x9D="\x9d"),
    "latin2": _table("iso8859_2"),
    "latin5": _table("iso8859_9"),
    "latin7": _table("iso8859_13"),
    "macce": _table("mac_latin2"),
    "macroman": _table("mac_roman"),
    "swe7": _table(
        "ascii",
        x40="É",
        x5B="Ä",
        x5C="Ö",
        x5D="Å",
        x5E="Ü",
        x60="é",
        x7B="ä",
        x7C="ö",
        x7D="å",
        x7E="ü",
        x7F=_HOLE,
    ),
    "tis620": _table(
        "tis_620", **dict.fromkeys(["xA0", "xDB", "xDC", "xDD", "xDE", "xFC", "xFD", "xFE", "xFF"], _REPLACED)
    ),
}
"""256 characters for each set of one byte a character."""

MULTI_BYTE: dict[str, tuple[str, dict[bytes, str]]] = {
    "big5": (
        "big5",
        {
            **dict.fromkeys(
                map(bytes.fromhex, ["A15A", "A1C3", "A1C5", "A1FE", "A240", "A2CC", "A2CE"]), _REPLACED
            ),
            **{
                bytes([0xF9, 0xD6 + place]): character
                for place, character in enumerate("\u7881\u92b9\u88cf\u58bb\u6052\u7ca7\u5afa")
            },
        },
    ),
    "cp932": ("cp932", {}),
    "eucjpms": ("euc_jp", {b"\x8f\xa2\xb7": "～", b"\x8f\xa2\xc3": "￤"}),
    "euckr": ("cp949", {}),
    "gb18030": ("gb18030", {b"\xa8\xbc": "ḿ", b"\x81\x35\xf4\x37": "\ue7c7"}),
    "gb2312": ("gb2312", {}),
    "gbk": ("gbk", {}),
    "sjis": ("shift_jis", {b"\x81\x5f": "\\"}),
    "ujis": ("euc_jp", {b"\xa1\xc0": "\\"}),
}
"""For each set of several bytes a character: Python's codec, and the sequences in which it is another."""

NEC_AND_IBM = (
    "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤\ufa0e咊坙\ufa0f\ufa10增寬峵嵓\ufa11德悅愠敎昻晥\ufa12\uf929栁"
    "\ufa13\ufa14橫櫢淸淲瀨\ufa15\ufa16甁皂皞\ufa17礰\ufa18\ufa19\ufa1a\ufa1b竧\ufa1c\ufa1d綠緖"
    "\ufa1e荢\ufa1f薰\ufa20\ufa21蠇\ufa22譿賴赶\ufa23\ufa24\ufa25郞\ufa26鄕\ufa27\ufa28閒"
    "\uf9dc\ufa29霻靍靑\ufa2a\ufa2b\ufa2c馞髙魲\ufa2d黑"
)
"""eucjpms: from 8F F3 F3 to 8F F4 FE."""
