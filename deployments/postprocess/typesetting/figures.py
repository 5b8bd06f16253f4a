"""What is read as one though it is no word: figures with their signs and units, and web names."""

from collections.abc import Iterator

import regex

# Unit symbols are cased: kg is no KG, and mW no MW.
UNITS = (
    "km/h|m/s|Mbit/s|Gbit/s|kcal|mbar|mmol|dpi|kWh|mAh|GHz|MHz|kHz|rpm|mph|Mbps|Gbps|kbps|lbs|"
    "[kKMGT]i?B|[kM]?W|[kmMG]?Hz|k?J|[mµμ]?[gslLmA]|[kcdm]?m[²³23]?|kg|[cdh][lL]|mA|kV|V|A|Ah|[kh]?Pa|"
    "cal|hPa|px|pt|ft|yd|lb|oz|bar|min|hrs?|h|ha|lm|lx|dB"
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
# Letters that belong to a measure: "5 km", "256GB", "2 €/kg"; some are nothing else anywhere.
_MEASURE = regex.compile(
    rf"(?<=(?:\d{_SPACE}?|/))(?:{UNITS})(?![\p{{L}}\p{{N}}])"
    r"|(?<![\p{L}\p{N}])(?:[kmµμ]g|[kcmnµμ]m|[mcd]l|kWh|mAh|kHz|pH)(?![\p{L}\p{N}])"
)
# Brands that begin small: iPhone, eBay.
_CAMEL = regex.compile(r"(?<![\p{L}\p{N}])\p{Ll}{1,2}\p{Lu}\p{L}*")
# Addresses, domains, handles and hashtags: copied letter by letter, so never changed.
WEB_NAME = regex.compile(
    r"(?:[a-z][a-z+.-]*://|www\.)\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|(?<![\p{L}\p{N}])[@#](?=[\p{L}\p{N}_]*\p{L})[\p{L}\p{N}_.]*[\p{L}\p{N}_]"
    r"|(?<![\p{L}\p{N}.])(?:[\p{Ll}\d](?:[\p{Ll}\d-]*[\p{Ll}\d])?\.)+\p{Ll}{2,}(?:/\S*)?",
    regex.IGNORECASE,
)

# Counters and units that follow a number of East Asia's, and the words that belong before it.
_COUNTER = (
    r"(?:[십백천만억조十百千万萬億亿兆]*"
    r"(?:원|월|일|년|시간|시|분|초|개월|개|명|인분|인|번|층|호선|호점|호|회|권|장|대|주|살|세|박|평|배|잔|병|"
    r"마리|켤레|가지|종|점|위|도|퍼센트|달러|유로|円|元|月|日|年|時間|时间|時|时|分|秒|個|个|名|人|号|號|番|階|"
    r"楼|樓|回|次|冊|枚|台|週間|周|週|歳|岁|歲|泊|坪|倍|杯|本|匹|種|种|点|點|位|度|折|割|件|"
    r"%|％|℃)?)"
)
_NUMBER = r"\d+(?:[.,:/]\d+)*"
_COUNTED = rf"{_NUMBER}{_COUNTER}"
_BEFORE = (
    r"(?:(?:매?[월주일년]|연|총|약|단|각|제|오전|오후|최대|최소|하루|午前|午後|上午|下午|全|約|约|第|税込|税抜)"
    r"[ \u00a0]?)?"
)
_COUNTED_ROW = regex.compile(
    rf"(?<![\p{{Latin}}\p{{N}}]){_BEFORE}[+\-−~≈]?\p{{Sc}}?{_COUNTED}"
    rf"(?:(?:(?<=[억만천조년월일시분亿億万萬兆年月日時时分])[ \u00a0]?| ?[~〜～–-] ?){_COUNTED})*"
    r"(?:(?<=번|호|층|호선|호점|관) (?:출구|게이트|홀|매장|승강장|버스|테이블|창구|방))?"
    r"(?: (?:이상|이하|미만|이내|까지|부터|할인|OFF))?"
)
# A word beside a number that is its currency, unit or label: "199 บาท", "CHF 49", "No. 5".
_AFTER = (
    r"บาท|น\.|ชิ้น|กก\.|ริงกิต|kr|Kč|zł|lei|Ft|TL|лв|руб|грн|тг|сом|ден|дин|zl|Rs|USD|EUR|GBP|CHF|AED|SAR|"
    r"ر\.س|ريال|درهم|د\.إ|جنيه|دينار|تومان|ریال|روپے|ש״ח|ש\"ח|शेकल|रुपये|रु|টাকা|ரூபாய்|రూపాయలు|"
    r"đồng|đ|h|Uhr|heures|uur|Mio|Mrd|mil|mln|млн|тыс|million|billion|a\.m|p\.m|am|pm|AM|PM"
)
_LABELLED = regex.compile(
    rf"(?:(?<![\p{{L}}])(?:[A-Z]{{3}}|Rs\.?|No\.?|Nr\.?|№|§|RM|Rp)[ \u00a0])?"
    rf"(?<![\p{{L}}\p{{N}}])[+\-−]?{_NUMBER}"
    rf"(?:[ \u00a0](?:{_AFTER})(?![\p{{L}}\p{{M}}])\.?)?"
)
# A space that a mark keeps with its words: "50 % !", "« oui »", "( a )".
_CLINGING = regex.compile(r"[«‹“„‘‚([{¿¡「『（] | (?=[!?:;»›)\]}%‰”」』）])")


def ties(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each stretch that no line break parts: figures with their groups, signs,
    units and counters, and marks that cling to a word over a space."""
    for pattern in (FIGURE, _COUNTED_ROW, _LABELLED):
        for found in pattern.finditer(text):
            yield found.span()
    for found in _CLINGING.finditer(text):
        yield found.start(), found.end() + 1


def cased(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each stretch whose letters mean something by their case: units, addresses,
    handles, hashtags and brands such as iPhone."""
    for pattern in (WEB_NAME, _MEASURE, _CAMEL):
        for found in pattern.finditer(text):
            yield found.span()
