# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""CSV bodies: a list of objects as rows, written by Python's csv (RFC 4180)."""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from .errors import ConfigurationError, _lt
from .jsonable import to_json_value

DEPTH_MAX = 20
# A spreadsheet reads a cell that begins so as a formula (OWASP, "CSV Injection").
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # full width too
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_QUOTES = {"double": '"', "single": "'"}
_LINE_ENDS = {"crlf": "\r\n", "lf": "\n"}
_BOM = "\ufeff"
_HEADER = "text/csv; charset=%s"


@dataclass(frozen=True)
class CsvFormat:
    """How rows are written.

    columns: names in their order; others follow as they appear in the rows
    decimal_columns: those whose texts are decimal numbers, such as "10.50"
    delimiter: comma, semicolon, tab or pipe
    quote: double or single
    quote_all: quote every value, not only those that need it
    decimal_comma: numbers have a comma instead of a point
    has_header: the first row has the names of the columns
    line_end: crlf or lf
    charset: unless the Content-Type has one; `utf-8-sig` adds a byte order mark
    guards_formulas: put an apostrophe before a text that a spreadsheet would calculate
    """

    columns: tuple[str, ...] = ()
    decimal_columns: frozenset[str] = frozenset()
    delimiter: str = "comma"
    quote: str = "double"
    quote_all: bool = False
    decimal_comma: bool = False
    has_header: bool = True
    line_end: str = "crlf"
    charset: str = "utf-8"
    guards_formulas: bool = False

    @property
    def content_type(self):
        """The Content-Type of the body."""
        return _HEADER % self.charset.removesuffix("-sig")

    def body(self, payload):
        """The body as text.

        :param payload: a list of objects, one per row; an object is one row
        :raise ConfigurationError: names the row and the column that can't be written
        """
        rows = self._rows(payload)
        columns = dict.fromkeys(self.columns)
        for row in rows:
            columns.update(dict.fromkeys(row))
        if not columns:
            raise ConfigurationError(
                _lt(
                    "the payload has no rows and no columns. Queue a list of objects, "
                    "or write payload rules such as *.sku."
                )
            )
        text = io.StringIO(newline="")
        writer = csv.writer(
            text,
            delimiter=_DELIMITERS[self.delimiter],
            quotechar=_QUOTES[self.quote],
            quoting=csv.QUOTE_ALL if self.quote_all else csv.QUOTE_MINIMAL,
            lineterminator=_LINE_ENDS[self.line_end],
        )
        if self.has_header:
            writer.writerow([self._text(name) for name in columns])
        for row in rows:
            writer.writerow([self._cell(row.get(name), name) for name in columns])
        body = text.getvalue()
        return f"{_BOM}{body}" if self.charset == "utf-8-sig" else body

    def _rows(self, payload):
        if isinstance(payload, Mapping):
            payload = [payload] if payload else []
        if not isinstance(payload, list | tuple):
            raise ConfigurationError(
                _lt(
                    "CSV needs a list of objects as payload, not %(type)s. Write "
                    "payload rules such as *.sku, or choose another body mode."
                ),
                type=type(payload).__name__,
            )
        rows = []
        for number, item in enumerate(payload, 1):
            if not isinstance(item, Mapping):
                raise ConfigurationError(
                    _lt(
                        "row %(row)s is not an object but %(type)s, so it has no "
                        "columns. Give it keys, as rules such as *.sku do."
                    ),
                    row=number,
                    type=type(item).__name__,
                )
            rows.append(_flat(item, number))
        return rows

    def _cell(self, value, column):
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            if column in self.decimal_columns and _DECIMAL.fullmatch(value):
                return value.replace(".", ",") if self.decimal_comma else value
            return self._text(value)
        text = str(value)
        if isinstance(value, float):
            text = format(Decimal(text), "f") if "e" in text else text
            text = text.replace(".", ",") if self.decimal_comma else text
        return text

    def _text(self, text):
        if self.guards_formulas and text.startswith(_FORMULA):
            return f"'{text}"
        return text


def columns_of(targets):
    """The columns that payload rules with these targets write, each once.

    `*.sku` of a list of rows, `sku` of one row; a list inside a row is not a column.
    """
    names = (target.removeprefix("*.") for target in targets)
    return tuple(dict.fromkeys(n for n in names if n and "*" not in n.split(".")))


def _flat(item, row, prefix="", depth=0):
    """Columns and values of one row; objects inside become `outer.inner`."""
    found = {}
    for key, value in item.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and depth < DEPTH_MAX:
            found.update(_flat(value, row, f"{name}.", depth + 1))
        elif isinstance(value, date):
            found[name] = to_json_value(value)
        elif value is None or isinstance(value, str | int | float):
            found[name] = value
        else:
            raise ConfigurationError(
                _lt(
                    'row %(row)s, column "%(column)s": a list or an object can\'t be '
                    "written into one cell. Use the format Text, or read one of its "
                    "values."
                ),
                row=row,
                column=name,
            )
    return found
