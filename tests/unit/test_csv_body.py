# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""CSV bodies, read again by Python's csv."""

import csv
import io

import pytest

from services.csv_body import CsvFormat, columns_of
from services.errors import ConfigurationError
from services.request import OutboundRequest
from services.transport import build_transport_kwargs

ROWS = [
    {"sku": "A-1", "price": "10.50", "qty": 2.5, "note": 'a "b", c\nd'},
    {"sku": "=1+1", "price": "3.00", "qty": -1, "note": None},
]


def read(text, **options):
    return list(csv.reader(io.StringIO(text, newline=""), **options))


def test_rows_come_back_as_they_were():
    """Quotes, delimiters and line breaks inside values survive."""
    text = CsvFormat().body(ROWS)

    assert read(text) == [
        ["sku", "price", "qty", "note"],
        ["A-1", "10.50", "2.5", 'a "b", c\nd'],
        ["=1+1", "3.00", "-1", ""],
    ]
    assert text.startswith("sku,price,qty,note\r\n")


def test_each_option_has_its_effect():
    """As a German ERP reads it: semicolons, decimal comma, no header, LF, quotes."""
    options = CsvFormat(
        decimal_columns=frozenset({"price"}),
        delimiter="semicolon",
        quote="single",
        quote_all=True,
        decimal_comma=True,
        has_header=False,
        line_end="lf",
        guards_formulas=True,
    )

    text = options.body(ROWS)

    assert text.endswith("\n") and "\r" not in text
    assert read(text, delimiter=";", quotechar="'") == [
        ["A-1", "10,50", "2,5", 'a "b", c\nd'],
        ["'=1+1", "3,00", "-1", ""],
    ]


@pytest.mark.parametrize("start", "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
def test_a_formula_is_guarded_when_chosen(start):
    """A name entered in a shop must not run in the spreadsheet of who opens the file.

    Numbers stay numbers.
    """
    rows = [{"name": f"{start}cmd", "number": -5}]

    assert read(CsvFormat(guards_formulas=True).body(rows))[1] == [
        f"'{start}cmd",
        "-5",
    ]
    assert read(CsvFormat().body(rows))[1] == [f"{start}cmd", "-5"]


def test_a_formula_among_decimals_is_guarded():
    """A column of decimals may get another text from a handler or the payload."""
    options = CsvFormat(
        decimal_columns=frozenset(["price"]), decimal_comma=True, guards_formulas=True
    )
    rows = [{"price": text} for text in ("-10.50", "=1+1", "-1+1", "@SUM(A1)")]

    assert [["-10,50"], ["'=1+1"], ["'-1+1"], ["'@SUM(A1)"]] == read(
        options.body(rows)
    )[1:]


def test_columns_are_those_of_the_rules():
    """In their order, also without rows; objects inside a row are flat columns."""
    columns = columns_of(["*.sku", "*.stock.free", "*.sku", "", "*", "*.a.*.b", "day"])
    assert columns == ("sku", "stock.free", "day")

    options = CsvFormat(columns=columns)

    assert read(options.body([])) == [["sku", "stock.free", "day"]]
    row = {"extra": True, "stock": {"free": 1e-7}}
    assert read(options.body([row])) == [
        ["sku", "stock.free", "day", "extra"],
        ["", "0.0000001", "", "true"],
    ]
    assert options.body(row) == options.body([row])


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        ("text", "a list of objects as payload, not str"),
        ([{"a": 1}, 2], "row 2 is not an object but int"),
        ([{"a": [1]}], 'row 1, column "a"'),
        ([], "no rows and no columns"),
        ({}, "no rows and no columns"),
    ],
)
def test_what_is_not_a_table_is_refused(payload, complaint):
    """With the row and the column."""
    with pytest.raises(ConfigurationError, match=complaint):
        CsvFormat().body(payload)


def test_the_body_mode_works_without_an_endpoint():
    """A handler may choose it; a text is taken as it is."""

    def body(payload, headers=None):
        request = OutboundRequest("https://x/", "post", "csv", headers or {}, payload)
        kwargs = build_transport_kwargs(request)
        return kwargs["headers"]["Content-Type"], kwargs["data"]

    assert body([{"a": "ü"}]) == ("text/csv; charset=utf-8", "a\r\nü\r\n".encode())
    latin = {"Content-Type": "text/csv; charset=iso-8859-1"}
    assert body("ü", latin) == (latin["Content-Type"], b"\xfc")
    with pytest.raises(ConfigurationError, match="can't encode"):
        body("€", latin)


def test_a_byte_order_mark_when_chosen():
    """Without it spreadsheets on Windows read UTF-8 as Latin-1."""
    options = CsvFormat(charset="utf-8-sig")

    assert options.body([{"a": 1}]).encode().startswith(b"\xef\xbb\xbfa")
    assert options.content_type == "text/csv; charset=utf-8"
