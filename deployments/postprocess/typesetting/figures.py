"""What is read as one though it is no word: figures with their signs and units, and web names."""

from collections.abc import Iterator

import regex

# Unit symbols are cased: kg is no KG, and mW no MW.
UNITS = (
    "km/h|m/s|Mbit/s|Gbit/s|kcal|mbar|mmol|dpi|kWh|mAh|GHz|MHz|kHz|rpm|mph|Mbps|Gbps|kbps|lbs|"
    "[kKMGT]i?B|[kM]?W|[kmMG]?Hz|k?J|[mµμ]?[gslLmA]|[kcdm]?m[²³23]?|kg|[cdh][lL]|mA|kV|V|A|Ah|[kh]?Pa|"
    "cal|hPa|px|pt|in|ft|yd|lb|oz|bar|min|hrs?|h|ha|lm|lx|dB"
)
_SPACE = "[ \u00a0\u2007\u202f]"
# A telephone number: groups after a plus sign, an area code in brackets, or a nought.
_PHONE = rf"(?:\+|\(\+?(?=\d)|(?=[0٠۰]\d))[\d()]+(?:(?:{_SPACE}|[-‐‑–./()]){{1,2}}[\d()]*\d)+"
_GROUPED = rf"(?:\d{{1,3}}(?:{_SPACE}\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:{_SPACE}\d+){{2,}})"
_PLAIN = r"\d+(?:[.,:/'’٫٬\-‐‑–+×x]\d+)*"
_FIGURE = (
    rf"(?<![\p{{L}}\p{{N}}])(?:{_PHONE}"
    rf"|(?:(?<![\p{{L}}\p{{N}}]-?)[+\-−–±~≈<>≤≥#№]|\p{{Sc}}){{0,2}}(?:{_GROUPED}|{_PLAIN}))"
    rf"(?:{_SPACE}?(?:[%‰]|°[CFK]?|(?:{UNITS})(?![\p{{L}}\p{{N}}])|\p{{Sc}}))?[+°*]?"
)
FIGURE = regex.compile(_FIGURE)
PHONE = regex.compile(_PHONE)
# Letters that belong to a measure: "5 km", "256GB".
MEASURE = regex.compile(rf"(?<=\d{_SPACE}?)(?:{UNITS})(?![\p{{L}}\p{{N}}])")
# Addresses, domains, handles and hashtags: copied letter by letter, so never changed.
WEB_NAME = regex.compile(
    r"(?:[a-z][a-z+.-]*://|www\.)\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|(?<![\p{L}\p{N}])[@#](?=[\p{L}\p{N}_]*\p{L})[\p{L}\p{N}_.]*[\p{L}\p{N}_]"
    r"|(?<![\p{L}\p{N}.])(?:[\p{Ll}\d](?:[\p{Ll}\d-]*[\p{Ll}\d])?\.)+\p{Ll}{2,}(?:/\S*)?",
    regex.IGNORECASE,
)


def literal_spans(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each stretch whose letters mean something by their case: units, web names."""
    for pattern in (WEB_NAME, MEASURE):
        for found in pattern.finditer(text):
            yield found.span()
