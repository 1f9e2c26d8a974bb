"""Made-up CSVs with hostile cells, whole or broken in ways that hide each other, each from a source of randomness."""

from __future__ import annotations

from random import Random

HEADERS = ["Team", "Team_Hierarchy", "Start_Date", "End_Date", "PR_MERGED", "Note"]
CHARACTERS = "aZ7 ,\"\n\r\t\0\\;'é—😀\ufeff\u2028\x0b\x1c\x85"
TEXTS = ["NA", "null", "—", "nan", '"', '""', "\r\n", "a\r\nb", '\\"', "x" * 70, "", "Alpha", "Eng/CI", "CI/CD", "é"]
DAYS = ["2026-01-01", "2026-01-31", " 2026-01-01", "2026-01-15\t"]
NO_DAYS = ["2026-02-01", "2026-1-1", "", "—", "2026-02-30"]
LAST_DAYS = ["2026-01-31", "", "—", "9999-12-31", "2026-01-31 "]
NO_LAST_DAYS = ["0000-01-01", "31.01.2026"]
NUMBERS = ["", "—", " 7", "7\t", "+5", "1e3", ".5", "5.", "007", "1E-400", "-0", "9" * 400 + "e-390"]
NO_NUMBERS = ["nan", "inf", "1e999", "1_0", "0x1F", "1,5", "٣", "--1", "1 2", "9" * 400, "—7", "."]
LINE_ENDS = ["\n", "\n", "\n", "\r\n", "\r\n", "\r", "\n\n", "\r\n\r\n"]
ADDED = [b'"', b'""', b'""', b"\0", b",", b"\r", b"\n", b"\xff", b'"\n', b'",', b"x", b" ", b"\xef\xbb\xbf"]
BAD_CELLS = 0.03
"""Share of dates and numbers that are none: a file of bad rows only shows little."""


def make_csv(random: Random) -> bytes:
    """Return a whole CSV, or, half of the time, one with one or two places broken."""
    wide = [f"Column {number} {'x' * random.randrange(200)}" for number in range(random.randrange(5))]
    table = [HEADERS + wide, *(_row(random) + ["w"] * len(wide) for _ in range(random.randrange(10)))]
    ends = [random.choice(LINE_ENDS)] if random.random() < 0.5 else [random.choice(LINE_ENDS) for _ in range(4)]
    how_often_quoted = random.choice([0, 0.3, 1])
    text = random.choice(["", "", "", "\n", "\ufeff", "\r\n\n"])
    for number, cells in enumerate(table):
        text += ",".join(_written(cell, quoted=random.random() < how_often_quoted) for cell in cells)
        text += ends[number % len(ends)]
    if random.random() < 0.3:
        text = text.rstrip("\r\n")
    body = text.encode()
    for _ in range(random.choice([0, 0, 1, 2])):
        body = _broken(body, random)
    return body


def _row(random: Random) -> list[str]:
    def mostly(whole: list[str], broken: list[str]) -> str:
        return random.choice(broken if random.random() < BAD_CELLS else whole)

    number = random.choice(
        [str(random.randrange(10**18)), repr(random.uniform(-1e6, 1e6)), mostly(NUMBERS, NO_NUMBERS)]
    )
    dates = [mostly(DAYS, NO_DAYS), mostly(LAST_DAYS, NO_LAST_DAYS)]
    return [_text(random) or "Alpha", _text(random), *dates, number, _text(random)]


def _text(random: Random) -> str:
    if random.random() < 0.5:
        return random.choice(TEXTS)
    return "".join(random.choice(CHARACTERS) for _ in range(random.randrange(9)))


def _written(cell: str, *, quoted: bool) -> str:
    if quoted or any(character in cell for character in '",\r\n'):
        return '"{}"'.format(cell.replace('"', '""'))
    return cell


def _broken(body: bytes, random: Random) -> bytes:
    """Break one place, or two that hide each other: one quote too many is found at the end of any file."""

    def anywhere() -> int:
        at = random.randrange(len(body) + 1)
        quotes = [at for at, byte in enumerate(body) if byte == ord('"')]
        return (
            random.choice([quote + random.randrange(2) for quote in quotes]) if quotes and random.random() < 0.5 else at
        )

    def without_a_quote(body: bytes) -> bytes:
        quotes = [at for at, byte in enumerate(body) if byte == ord('"')]
        return _replaced(body, random.choice(quotes), 1, b"") if quotes else body

    match random.randrange(7):
        case 0 | 1:
            return _replaced(body, anywhere(), random.randrange(2), random.choice(ADDED))
        case 2:
            return _replaced(body, anywhere(), 1, b"")
        case 3:
            return _replaced(_replaced(body, anywhere(), 0, b'"'), anywhere(), 0, b'"')
        case 4:
            return _replaced(without_a_quote(body), anywhere(), 0, b'"')
        case 5:
            return without_a_quote(without_a_quote(body))
        case _:
            return body[: random.randrange(len(body) + 1)] if random.random() < 0.3 else body


def _replaced(body: bytes, at: int, length: int, new: bytes) -> bytes:
    return body[:at] + new + body[at + length :]
