# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""From an outbound request to the arguments of `requests.request`."""

from collections.abc import Mapping

from .csv_body import CsvFormat
from .errors import ConfigurationError, _lt
from .files import each_file, file_tuple, is_several
from .headers import (
    charset_of,
    check_given_header,
    header_text,
)

_TYPE = "content-type"
_BODYLESS = frozenset({"delete", "get", "head", "options"})


def build_transport_kwargs(request):
    """All arguments of `requests.request(**kwargs)` for an `OutboundRequest`.

    The body depends on the mode: json sets `json`, form_urlencoded sets `data`,
    multipart sets `data` and `files`, raw sets `data` to bytes in the charset of the
    Content-Type (UTF-8 without one), and csv does so with a list of objects or a text.
    A method that needs no body (DELETE, GET) has none if the payload is empty.
    Redirects are not followed. Raises ConfigurationError.
    """
    request.assert_valid()
    kwargs = {
        "method": request.http_method.upper(),
        "url": request.target_url,
        "headers": _headers(request.raw("headers")),
        "allow_redirects": False,
    }
    if request.raw("files") and request.request_body_mode != "multipart":
        raise ConfigurationError(
            _lt(
                'body mode "%(mode)s" can\'t carry files (%(fields)s).'
                " Use multipart, or leave the files out."
            ),
            mode=request.request_body_mode,
            fields=request.multipart_file_keys_label,
        )
    _BODIES[request.request_body_mode](request, kwargs)
    return kwargs


def flatten_form_data(values):
    """Nested values as flat form fields, all of them texts.

    `{"a": {"b": [1, True]}, "c": None}` becomes
    `{"a[b][0]": "1", "a[b][1]": "true", "c": ""}`; an empty container becomes
    an empty text, None and an empty value become `{}`. Raises ConfigurationError
    for anything else.
    """
    flat = {}
    if values and not isinstance(values, Mapping):
        raise ConfigurationError(
            _lt(
                "form fields must be a mapping of names to values, not %(type)s."
                ' Give {"name": "value"}.'
            ),
            type=type(values).__name__,
        )
    for key, value in (values or {}).items():
        _flatten(str(key), value, flat)
    return flat


def normalize_request_files(files):
    """Files as `requests` takes them: form field -> tuple; `{}` for none.

    A file is a dict with `content` and optional `filename` (default: the form
    field), `content_type` and `headers`, or a list or tuple of 2 to 4 values: filename,
    content, content type, headers; the order is kept. A list of such dicts is several
    files of one form field, and becomes a list of tuples. Raises ConfigurationError.
    """
    if not files:
        return {}
    if not isinstance(files, Mapping):
        raise ConfigurationError(
            _lt(
                "files must be a mapping of form fields to files, not %(type)s."
                ' Give {"field": {"filename": ..., "content": ...}}.'
            ),
            type=type(files).__name__,
        )
    checked = {str(key): _tuples(str(key), each) for key, each in files.items()}
    if len(checked) < len(files):
        raise ConfigurationError(
            _lt("two form fields of files are the same as text. Use each name once.")
        )
    return checked


def _tuples(field, value):
    if is_several(value):
        return [file_tuple(field, each) for each in value]
    return file_tuple(field, value)


def _headers(headers):
    checked = {}
    for name, value in (headers or {}).items():
        if value is None:  # as without this header
            continue
        value = header_text(value, str(name))
        check_given_header(name, value)
        checked[name] = value
    return checked


def _json_body(request, kwargs):
    payload = request.raw("payload")
    payload = {} if payload is None else payload
    if not _left_out(request, payload):
        kwargs["json"] = payload


def _form_body(request, kwargs):
    fields = flatten_form_data(_fields(request))
    if not _left_out(request, fields):
        kwargs["data"] = fields


def _multipart_body(request, kwargs):
    fields = flatten_form_data(_fields(request))
    files = normalize_request_files(request.raw("files"))
    if _left_out(request, fields) and not files:
        return
    if files:
        kwargs["data"] = fields
        is_plain = not any(isinstance(each, list) for each in files.values())
        kwargs["files"] = files if is_plain else list(each_file(files))
    else:
        # Without a file requests would send a plain form. A part without a file
        # name is byte for byte the same as a field.
        kwargs["files"] = {key: (None, value) for key, value in fields.items()}


def _raw_body(request, kwargs):
    payload = request.raw("payload")
    if not payload and not isinstance(payload, int | float):
        return
    header = _content_type(kwargs)
    if not isinstance(payload, str | bytes):
        raise ConfigurationError(
            _lt("a raw body must be a text, not %(type)s. Use the body mode json."),
            type=type(payload).__name__,
        )
    # Bytes: urllib3 1.26 would encode a text as Latin-1, urllib3 2 as UTF-8.
    kwargs["data"] = _encoded(payload, header) if isinstance(payload, str) else payload
    if header is None:
        kwargs["headers"]["Content-Type"] = "text/plain; charset=utf-8"


def _csv_body(request, kwargs):
    payload = request.raw("payload")
    header = _content_type(kwargs)
    if not isinstance(payload, str):
        payload = _CSV.body(payload)
    if header is None:
        kwargs["headers"]["Content-Type"] = header = _CSV.content_type
    kwargs["data"] = _encoded(payload, header)


_CSV = CsvFormat()  # an endpoint with other options has written a text already
_BODIES = {
    "json": _json_body,
    "form_urlencoded": _form_body,
    "multipart": _multipart_body,
    "raw": _raw_body,
    "csv": _csv_body,
}


def _content_type(kwargs):
    return next(
        (each for name, each in kwargs["headers"].items() if name.lower() == _TYPE),
        None,
    )


def _encoded(text, content_type):
    """The text encoded in the charset of its Content-Type, else UTF-8."""
    charset = charset_of(content_type) if content_type else None
    charset = charset or "utf-8"
    try:
        return text.encode(charset)
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            _lt(
                "the body contains %(found)s, which the charset %(charset)s can't "
                "encode. Correct the value, or name utf-8 in the Content-Type."
            ),
            found=ascii(text[error.start : error.start + 1]),
            charset=charset,
        ) from error
    except (LookupError, ValueError) as error:
        raise ConfigurationError(
            _lt(
                'the Content-Type names the charset "%(charset)s", which is not known.'
                " Name another one, such as utf-8."
            ),
            charset=charset,
        ) from error


def _left_out(request, payload):
    return request.http_method in _BODYLESS and not payload and payload in ({}, "", [])


def _fields(request):
    payload = request.raw("payload")
    if payload is None or isinstance(payload, dict):
        return payload
    raise ConfigurationError(
        _lt(
            'body mode "%(mode)s" needs a payload of named fields, not %(type)s.'
            " Use the body mode json, or give an object."
        ),
        mode=request.request_body_mode,
        type=type(payload).__name__,
    )


def _flatten(key, value, flat):
    if isinstance(value, dict) and value:
        for child, each in value.items():
            _flatten(f"{key}[{child}]", each, flat)
    elif isinstance(value, list | tuple) and value:
        for index, each in enumerate(value):
            _flatten(f"{key}[{index}]", each, flat)
    elif isinstance(value, bool):
        flat[key] = "true" if value else "false"
    elif value is None or value in ({}, [], ()):
        flat[key] = ""
    else:
        flat[key] = str(value)
