# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Files of a multipart request, checked before anything is stored or sent."""

import re
from collections.abc import Mapping

from .errors import ConfigurationError, _lt
from .headers import check_header, refuse_connection_header

_FILE_HINT = _lt(
    'file "%(field)s" must be {"content": ..., "filename": ..., "content_type": ...}'
    " or a tuple of 2 to 4 values as in requests, not %(type)s."
)
# NUL can't be stored; the others end or corrupt the headers of a part.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# `requests` makes these from field, name and type, and drops part headers of theirs.
_MADE = ("content-disposition", "content-location")


def file_tuple(field, value):
    """A file as `requests` takes it: a tuple of 2 to 4 values.

    :param field: the form field, a text
    :param value: a dict with `content` and optional `filename` (default: the form
        field), `content_type` and `headers`, or a list or tuple of 2 to 4 values:
        filename (None: a part without one), content, content type, headers
    :raise ConfigurationError: it can't be sent; the message names the form field
    """
    if isinstance(value, Mapping) and "content" in value:
        filename = str(value.get("filename") or field)
        content, content_type = value["content"], value.get("content_type") or None
        headers = value.get("headers")
    elif isinstance(value, list | tuple) and 2 <= len(value) <= 4:
        filename, content, content_type, headers = (*value, None, None)[:4]
    else:
        raise ConfigurationError(_FILE_HINT, field=field, type=type(value).__name__)
    _check_name(field, field)
    if not field:
        raise ConfigurationError(
            _lt("a file has an empty form field. Name the field, as in document.")
        )
    if filename is not None:
        _check_name(field, filename)
    if isinstance(content, str):
        _check_text(field, content)
    headers = _part_headers(field, headers)
    lifted = headers.pop("content-type", None)
    content_type = content_type or (lifted and lifted[1]) or None
    if content_type is not None:
        check_header("Content-Type", content_type)
    given = dict(headers.values())
    if given:
        return (filename, content, content_type, given)
    return (filename, content, content_type) if content_type else (filename, content)


def is_several(value):
    """True for several files of one form field: a list of dicts."""
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(each, Mapping) for each in value)
    )


def each_file(files):
    """Pairs of form field and tuple, of normalized files, in their order."""
    for field, file in files.items():
        for each in file if isinstance(file, list) else (file,):
            yield field, each


def _check_name(field, name):
    if not isinstance(name, str):
        raise ConfigurationError(
            _lt(
                'the name of file "%(field)s" is %(type)s. Give a text, or None for a '
                "part without a file name."
            ),
            field=field,
            type=type(name).__name__,
        )
    if _CONTROL.search(name):
        raise ConfigurationError(
            _lt(
                "the form field or name of file %(name)s contains a line break or "
                "another control character. Remove it."
            ),
            name=ascii(name),
        )
    _check_text(ascii(name), name)


def _check_text(field, text):
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigurationError(
            _lt(
                'file "%(field)s" contains a lone surrogate (half a character), '
                "which UTF-8 can't encode. Correct its name or content, or give "
                "the content as bytes."
            ),
            field=field,
        ) from None


def _part_headers(field, headers):
    """Headers of a part as lower-case name -> (name, value)."""
    if not headers:
        return {}
    if not isinstance(headers, Mapping):
        raise ConfigurationError(
            _lt(
                'the headers of file "%(field)s" must be a mapping, not %(type)s. Give '
                '{"X-Part": "1"}.'
            ),
            field=field,
            type=type(headers).__name__,
        )
    checked = {}
    for name, value in headers.items():
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        refuse_connection_header(name)
        check_header(name, "" if value is None else value)
        if name.lower() in _MADE or not value:
            raise ConfigurationError(
                _lt(
                    'the header "%(name)s" of file "%(field)s" can\'t be sent: it has '
                    "no value, or is made of the form field and the file name. Leave "
                    "it out."
                ),
                name=name,
                field=field,
            )
        checked[name.lower()] = (name, value)
    return checked
