"""How amounts, dates and addresses are written in some countries."""

from __future__ import annotations

from dataclasses import dataclass, field

_LATIN = "0123456789"


@dataclass(frozen=True, slots=True)
class Locale:
    """Ways of writing of a country.

    Args:
        decimal, group: the signs in an amount.
        amounts: forms of an amount; `#` is the number.
        dates: forms of a date, in strftime's letters d, m, Y, y, without a leading zero `-d` and `-m`.
        addresses: patterns of a line of an address, as `Templates` takes them.
        decimals: digits behind the decimal sign.
        lakh: groups of two digits above the thousands.
        digits: the digits.
    """

    decimal: str
    group: str
    amounts: tuple[str, ...]
    dates: tuple[str, ...]
    addresses: tuple[str, ...]
    decimals: int = 2
    lakh: bool = False
    digits: str = field(default=_LATIN)


_STREETS = "(Street|Road|Avenue|Lane)"
LOCALES: dict[str, Locale] = {
    "en_US": Locale(
        ".", ",", ("$#", "$#", "#", "USD #"), ("%m/%d/%Y", "%-m/%-d/%y", "%Y-%m-%d"),
        (f"[1-9][0-9]{{1,3}} <name> {_STREETS}", "<name>, (CA|NY|TX|FL|WA) [0-9]{5}"),
    ),
    "en_GB": Locale(
        ".", ",", ("£#", "£#", "#", "GBP #"), ("%d/%m/%Y", "%-d/%-m/%y", "%Y-%m-%d"),
        (f"[1-9][0-9]? <name> {_STREETS}", "<name> [A-Z]{2}[1-9] [1-9][A-Z]{2}"),
    ),
    "de_DE": Locale(
        ",", ".", ("# €", "# €", "#", "EUR #"), ("%d.%m.%Y", "%-d.%-m.%y"),
        ("<name>(straße|weg|platz) [1-9][0-9]?", "[1-9][0-9]{4} <name>"),
    ),
    "fr_FR": Locale(
        ",", " ", ("# €", "# €", "#", "# EUR"), ("%d/%m/%Y", "%d.%m.%y"),
        ("[1-9][0-9]? (rue|avenue|place) <name>", "[1-9][0-9]{4} <name>"),
    ),
    "es_ES": Locale(
        ",", ".", ("# €", "#€", "#"), ("%d/%m/%Y", "%-d-%-m-%y"),
        ("(Calle|Plaza|Avenida) <name>, [1-9][0-9]?", "[1-5][0-9]{4} <name>"),
    ),
    "it_IT": Locale(
        ",", ".", ("€ #", "# €", "#"), ("%d/%m/%Y", "%-d.%-m.%y"),
        ("(Via|Piazza|Corso) <name> [1-9][0-9]?", "[1-9][0-9]{4} <name>"),
    ),
    "pt_BR": Locale(
        ",", ".", ("R$ #", "R$#", "#"), ("%d/%m/%Y", "%d-%m-%y"),
        ("(Rua|Avenida) <name>, [1-9][0-9]{1,2}", "[0-9]{5}-[0-9]{3} <name>"),
    ),
    "ru_RU": Locale(
        ",", " ", ("# ₽", "# руб.", "#"), ("%d.%m.%Y", "%d.%m.%y"),
        ("ул. <name>, д. [1-9][0-9]?", "[1-9][0-9]{5}, г. <name>"),
    ),
    "zh_CN": Locale(
        ".", ",", ("¥#", "#元", "#"), ("%Y年%-m月%-d日", "%Y-%m-%d", "%Y/%m/%d"),
        ("(北京|上海|广州|深圳)市(东|西|南|北|中)(山|海|城|河)路[1-9][0-9]{0,2}号",),
    ),
    "ja_JP": Locale(
        ".", ",", ("¥#", "#円", "#"), ("%Y年%-m月%-d日", "%Y/%m/%d"),
        ("〒[1-9][0-9]{2}-[0-9]{4}", "(東京都|大阪府|京都府)(中央|北|南|西)区[1-9]-[1-9][0-9]?-[1-9]"), decimals=0,
    ),
    "ko_KR": Locale(
        ".", ",", ("#원", "₩#", "#"), ("%Y년 %-m월 %-d일", "%Y.%m.%d"),
        ("(서울|부산|대구)시 (중|동|서|남|북)구 [1-9][0-9]{0,2}번지",), decimals=0,
    ),
    "hi_IN": Locale(
        ".", ",", ("₹#", "₹ #", "रु. #"), ("%d/%m/%Y", "%d-%m-%Y"),
        ("मकान नं. [1-9][0-9]{0,2}, (दिल्ली|मुंबई|जयपुर|पटना)", "(दिल्ली|मुंबई|जयपुर|पटना) [1-9][0-9]{5}"), lakh=True,
    ),
    "th_TH": Locale(
        ".", ",", ("฿#", "# บาท", "#"), ("%d/%m/%Y", "%-d/%-m/%Y"),
        ("[1-9][0-9]{0,2} ถนน(สุขุมวิท|สีลม|พหลโยธิน)", "(กรุงเทพ|เชียงใหม่|ภูเก็ต) [1-9][0-9]{4}"),
    ),
    "ar_EG": Locale(
        "٫", "٬", ("# ج.م", "# جنيه", "#"), ("%d/%m/%Y", "%-d/%-m/%Y"),
        ("[1-9][0-9]? شارع (النيل|التحرير|السلام)", "(القاهرة|الجيزة|طنطا) [1-9][0-9]{4}"), digits="٠١٢٣٤٥٦٧٨٩",
    ),
}  # fmt: skip
