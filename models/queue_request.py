# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Validation of queue requests before anything is written, and of drafts when saved."""

import json
import re
import reprlib
import secrets
import time
from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import NamedTuple

from odoo import Command, fields, models

from ..lane.clock import as_utc
from ..lane.pacing import DELIVERY_BYTES_MAX, check_size
from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.files import each_file
from ..services.headers import (
    check_header,
    check_header_name,
    header_text,
    header_text_of,
    serialize_headers,
)
from ..services.jsonable import to_json_value
from ..services.transport import normalize_request_files
from ..services.values import (
    dumps_payload,
    storable_text,
)
from .const import CONTEXT_LINE
from .endpoint_policy import SettleWindow, read_settle
from .errors import misconfigured, refused, translate
from .value_source import check_source

ARGUMENTS = frozenset(
    "payload context_lines headers files name record eta ordering_key supersede "
    "settle skip_if_unchanged".split()
)
RECORD_FILES = "record_files"  # from server actions alone
_KNOWN = ARGUMENTS | {RECORD_FILES}

# PostgreSQL refuses an index row of more than 2,704 bytes, its other columns included.
KEY_BYTES_MAX = 2600


# The first digits are a time, so that a delivery is found by its message id without
# an index on it, which each queued delivery would pay for.
MESSAGE_UID = re.compile(r"msg_([0-9a-f]{12})7[0-9a-f]{3}[89ab][0-9a-f]{15}\Z")
MESSAGE_TIME_MAX = 2**43  # ms, in the year 2248: later ones were made up


def new_message_uid() -> str:
    """`msg_` and 32 hex digits: the receiver uses it to drop duplicates.

    The digits are a UUID of version 7 (RFC 9562): 48 bits of Unix time in ms, 74 random
    bits.
    """
    bits = secrets.randbits(74)
    value = time.time_ns() // 1_000_000 << 80 | 7 << 76 | bits >> 62 << 64
    return f"msg_{value | 2 << 62 | bits & 2**62 - 1:032x}"


def message_time(message_uid):
    """When a message id was drawn, naive UTC; None if it has no time."""
    match = MESSAGE_UID.match(message_uid)
    milliseconds = int(match[1], 16) if match else MESSAGE_TIME_MAX
    if milliseconds >= MESSAGE_TIME_MAX:
        return None
    return as_utc(milliseconds / 1000)


def record_key(res_model, res_id):
    """The ordering key of deliveries of one record; False without a record."""
    return f"{res_model},{res_id}" if res_model and res_id else False


def ordering_group(ordering, key):
    """The ordering group of a delivery under this order of the endpoint."""
    return {"endpoint": "*", "key": key or False}.get(ordering, False)


class QueueRequest(NamedTuple):
    """One valid request for a delivery; no later step refuses it."""

    vals: dict
    lines: list  # of dicts
    files: dict
    settle: SettleWindow | None = None
    record_files: list | None = None  # of `QueuedFile`; None where no line reads files

    def create_vals(self):
        """Values for `create`, context lines included; files are stored apart."""
        lines = [Command.create(line) for line in self.lines]
        return self.vals | {"context_line_ids": lines}


def default_name(endpoint, now) -> str:
    return f"{endpoint.display_name} / {now:%Y-%m-%d %H:%M:%S}"


def read_requests(endpoint, requests, now, vals=None) -> list[QueueRequest]:
    """Validate the arguments of `queue_delivery`, for each of these requests.

    :param endpoint: with sudo
    :param requests: list of dicts of the arguments
    :param now: naive UTC
    :param vals: further values of all of them
    :raise ValidationError: one is invalid; nothing was written
    """
    name = default_name(endpoint, now)
    requested = [_read_request(endpoint, each, name, now) for each in requests]
    if vals:
        for each in requested:
            each.vals.update(vals)
    return requested


def _read_request(endpoint, request, name, now) -> QueueRequest:
    try:
        if not isinstance(request, Mapping) or not _KNOWN.issuperset(request):
            raise _unknown_arguments(request)
        lines, supersede = request.get("context_lines"), bool(request.get("supersede"))
        requested = QueueRequest(
            _vals(endpoint, request, name, now),
            _lines(endpoint.env, lines) if lines else [],
            _checked_files(request.get("files")),
            read_settle(endpoint, request.get("settle"), supersede),
            request.get(RECORD_FILES),
        )
        check_size(_size_of(requested))
        return requested
    except ServiceError as error:
        raise misconfigured(endpoint, error) from error


def _size_of(requested) -> int:
    """Bytes of the request as far as known at this point."""
    texts = [requested.vals["payload_json"], requested.vals["request_headers_json"]]
    contents = [content for _, (_name, content, *_rest) in each_file(requested.files)]
    stored = sum(each.size for each in requested.record_files or ())
    return stored + sum(map(_bytes_of, texts + contents))


def _bytes_of(content) -> int:
    length = len(content)
    if isinstance(content, bytes) or length * 4 <= DELIVERY_BYTES_MAX:
        return length  # the exact size of a short text doesn't matter
    return length if content.isascii() else len(content.encode())


def _vals(endpoint, request, name, now):
    get = request.get
    payload, headers = get("payload"), get("headers")
    res_model, res_id = _subject_of(endpoint, get("record"))
    supersede = bool(get("supersede"))
    key = get("ordering_key")
    key = False if _is_absent(key) else storable_text(str(key))
    check_ordering_key(endpoint, key)
    if endpoint.create_or_update:
        key = record_key(res_model, res_id) or key
    elif not key and (supersede or endpoint.ordering == "key"):
        key = record_key(res_model, res_id)
    if supersede and not key:
        raise refused(
            endpoint,
            endpoint.env._(
                "supersede needs an ordering key or a record. Give one of them."
            ),
        )
    skips = bool(get("skip_if_unchanged"))
    if skips and not res_id:
        raise refused(
            endpoint,
            endpoint.env._(
                "skip_if_unchanged needs a record, whose last request is compared. "
                "Give record=."
            ),
        )
    return {
        "endpoint_id": endpoint.id,
        "name": name if _is_absent(get("name")) else storable_text(str(get("name"))),
        "message_uid": new_message_uid(),
        "state": "queued",
        "queued_at": now,
        "next_attempt_at": _eta(endpoint, get("eta")) or now,
        "payload_json": "{}" if payload is None else dumps_payload(payload),
        "request_headers_json": _checked_headers(headers) if headers else "{}",
        "ordering_key": key,
        "ordering_group": ordering_group(endpoint.ordering, key),
        "supersede": supersede,
        "skip_if_unchanged": skips,
        "origin": "live",
        "res_model": res_model,
        "res_id": res_id,
    }


def _is_absent(value) -> bool:
    """Whether an argument is considered not given; 0 is a value."""
    return value is None or value is False or value == ""


def check_ordering_key(record, key):
    """Refuse a key that is too long for the index of the queue.

    :param record: named in the message
    """
    size = len(str(key).encode()) if key else 0
    if size > KEY_BYTES_MAX:
        raise refused(
            record,
            record.env._(
                "the ordering key %(key)s has %(size)s bytes. Give one of %(most)s "
                "bytes or less, such as an id or a hash.",
                key=reprlib.repr(key),
                size=size,
                most=KEY_BYTES_MAX,
            ),
        )


def _subject_of(endpoint, record):
    if record is None or record is False:
        return False, False
    if not isinstance(record, models.BaseModel):
        raise refused(
            endpoint,
            endpoint.env._(
                "record=%(record)s is not a record. Give the record that the "
                "delivery is about, or leave it out.",
                record=reprlib.repr(record),
            ),
        )
    if len(record) != 1:
        raise refused(
            endpoint,
            endpoint.env._(
                "record= takes one record and got %(count)s (%(model)s). Give the one "
                "that the delivery is about, or leave it out.",
                count=len(record),
                model=record._name,
            ),
        )
    if not isinstance(record.id, int):
        raise refused(
            endpoint,
            endpoint.env._("the record it is about isn't saved yet. Save it first."),
        )
    return record._name, record.id


def _eta(endpoint, eta):
    """`eta` as naive UTC; None without one."""
    if _is_absent(eta):
        return None
    if isinstance(eta, datetime) and eta.tzinfo:
        return eta.astimezone(timezone.utc).replace(tzinfo=None)
    fault = None
    if isinstance(eta, str | date):
        try:
            return fields.Datetime.to_datetime(eta)
        except ValueError as error:
            fault = error
    raise refused(
        endpoint,
        endpoint.env._(
            "eta=%(eta)s is not a valid time. Give a datetime in UTC.",
            eta=repr(eta)[:80],
        ),
    ) from fault


def _lines(env, given):
    lines = env[CONTEXT_LINE]
    found = lines._vals_from(given)
    for vals in found:
        for name in ("key_name", "source_expression", "literal_value"):
            if isinstance(vals.get(name), str):
                _check_storable(vals[name], vals["key_name"])
    if not isinstance(given, Mapping):  # a mapping's values are literals
        for vals in found:
            _check_line(lines, vals)
    return found


def _check_storable(text, key):
    """Refuse text that PostgreSQL can't store; a replacement would be another value."""
    if storable_text(text) != text:
        raise ConfigurationError(
            _lt(
                "context line %(key)s contains a NUL or a lone surrogate (half a "
                "character), which can't be stored. Correct its key or value, or "
                "give the value in a mapping."
            ),
            key=ascii(key),
        )


def _check_line(lines, vals):
    """Check the line's constraints before anything is written."""
    env = lines.env
    kind = vals.setdefault("source_kind", "literal")
    try:
        for name, value in vals.items():
            vals[name] = lines._fields[name].convert_to_cache(value, lines)
        check_source(
            env, kind, vals.get("source_expression"), vals.get("literal_value")
        )
    except (ServiceError, ValueError, TypeError) as error:
        problem = error
        if isinstance(error, ServiceError):
            problem = translate(env, error)
        raise ConfigurationError(
            _lt('context line "%(key)s": %(problem)s'),
            key=vals["key_name"],
            problem=problem,
        ) from error


def _checked_headers(headers):
    if not isinstance(headers, Mapping):
        raise ConfigurationError(
            _lt('headers must be a mapping, not %(type)s. Give {"X-Shop": "1"}.'),
            type=type(headers).__name__,
        )
    for name, value in headers.items():
        check_header_name(str(name))
        check_header(str(name), header_text(value, str(name)))
    return serialize_headers(headers)


def _checked_files(files):
    if not files:
        return {}
    if not isinstance(files, Mapping):
        raise ConfigurationError(
            _lt(
                "files must be a mapping of form field to file, not %(type)s. Give "
                '{"doc": {"filename": "a.pdf", "content": b"..."}}.'
            ),
            type=type(files).__name__,
        )
    checked = normalize_request_files(files)
    for field_name, (_filename, content, *_rest) in each_file(checked):
        if not isinstance(content, bytes | str):
            raise ConfigurationError(
                _lt('the content of file "%(field)s" is %(type)s. Give bytes.'),
                field=field_name,
                type=type(content).__name__,
            )
    return checked


def _unknown_arguments(request):
    if not isinstance(request, Mapping):
        given = repr(request)[:80]
    else:
        given = ", ".join(sorted(map(str, set(request) - ARGUMENTS)))
    return ConfigurationError(
        _lt("queueing doesn't accept %(given)s. Give a dict with some of: %(known)s."),
        given=given,
        known=", ".join(sorted(ARGUMENTS)),
    )


# Drafts, written by users


def check_texts(delivery):
    """Check payload and headers of a delivery as they are stored.

    :raise ValidationError: one is not valid JSON, or a header can't be sent
    """
    env = delivery.env
    try:
        to_json_value(_loaded(delivery, "payload_json"), "payload")
    except ServiceError as error:
        raise misconfigured(delivery, error) from error
    headers = _loaded(delivery, "request_headers_json")
    if not isinstance(headers, dict):
        raise misconfigured(
            delivery,
            env._(
                "%(field)s must be a JSON object of names and values, as "
                '{"X-Shop": "1"}, not %(value)s.',
                field=_label_of(delivery, "request_headers_json"),
                value=delivery.request_headers_json[:80],
            ),
        )
    try:
        to_json_value(headers, "headers")
        for name, value in headers.items():
            check_header_name(name)
            text = header_text_of(value, name)
            # Deliveries queued by code fail with a message when they are built.
            if delivery.state == "draft":
                check_header(name, text)
    except ServiceError as error:
        raise misconfigured(delivery, error) from error


def _loaded(delivery, name):
    env = delivery.env
    try:
        return json.loads(delivery[name], parse_constant=_refuse_constant)
    except RecursionError as error:
        problem, cause = env._("it is nested too deeply"), error
    except ValueError as error:
        problem, cause = error, error
    raise misconfigured(
        delivery,
        env._(
            "%(field)s is not valid JSON: %(error)s. Correct the text.",
            field=_label_of(delivery, name),
            error=problem,
        ),
    ) from cause


def _refuse_constant(name):
    raise ValueError(f"{name} is not a JSON value")


def _label_of(delivery, name):
    return delivery._fields[name]._description_string(delivery.env)
