# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Attempts and results, written in bulk before and after requests are sent."""
# pylint: disable=invalid-commit  # what was sent must be on disk: lanes commit each step

import json
import logging
from dataclasses import replace
from functools import partial
from hashlib import sha256
from operator import attrgetter

from odoo.tools import SQL

from ..services.differences import Shown
from ..services.errors import _lt
from ..services.headers import joined
from ..services.masking import mask_headers, mask_text, mask_url, url_secrets
from ..services.payload_files import without_contents
from ..services.shortage import Shortage
from ..services.values import storable_text
from . import sql
from .attempt_result import (
    AttemptResult,
    Prepared,
    Recorded,
    Refused,
    result_of_refusal,
)
from .health import count_attempts, safely
from .pacing import pages
from .savepoint import lost_race
from .translation import translate

_logger = logging.getLogger(__name__)

PAGE = 500
TRIES = 5  # of one recording
RESPONSE = ("response_headers_json", "response_body")
TRUNCATED = "\n[... cut: the response was longer]"
NOT_STORED = _lt(
    "The database refused parts of the result. Check triggers and constraints: "
    "%(error)s"
)
NOT_RECORDED = _lt(
    "The request was sent and the result was %(state)s (HTTP status: %(status)s), "
    "but the database refuses to store that. It is not retried automatically. Check "
    "triggers and constraints: %(error)s"
)
NOT_OPENED = _lt(
    "The request can't be stored as an attempt, so it was not sent. Check triggers and "
    "constraints: %(error)s"
)
NOT_CONCLUDED = _lt(
    "The database refuses to store the result %(state)s. Check triggers and "
    "constraints: %(error)s"
)
_dumps = json.JSONEncoder(ensure_ascii=False).encode


def open_attempts(cr, snapshot, prepared: list[Prepared], owner, slot, now):
    """Mark as processing and insert attempts; to be committed before sending."""
    if not prepared:
        return
    attempt_ids = {}
    for page in pages(prepared, attrgetter("size"), count=PAGE):
        ids = [each.claimed.id for each in page]
        rows = [_attempt_row(snapshot, each) for each in page]
        mark = sql.mark_processing(ids, owner, slot, now, attempts=1)
        found = _insert_attempts(cr, snapshot, rows, owner, now, first=mark)
        attempt_ids.update((delivery_id, each_id) for each_id, delivery_id in found)
    for each in prepared:
        each.attempt_id = attempt_ids[each.claimed.id]


def _insert_attempts(cr, snapshot, rows, owner, now, *, first=None):
    """Pairs (id of the attempt, id of its delivery).

    :param first: a statement without a result, executed before in the same round trip
    """
    endpoint_id, company_id = snapshot.endpoint_id, snapshot.company_id
    insert = sql.open_attempts(endpoint_id, company_id, owner, now, rows)
    cr.execute(SQL("%s; %s", first, insert) if first else insert)
    return cr.fetchall()


def _attempt_row(snapshot, prepared: Prepared):
    encoded, request = prepared.encoded, prepared.request
    return _row(
        snapshot,
        prepared.claimed,
        state="processing",
        method=request.http_method,
        body_mode=request.request_body_mode,
        url=encoded.url,
        headers=_dumps(mask_headers(dict(encoded.headers))),
        payload=_payload_text(request, encoded.body),
        files=request.multipart_file_keys_label or None,
        body=encoded.body,
        subject=prepared.subject,
        request_hash=prepared.request_hash,
    )


def _payload_text(request, body: bytes | None) -> str:
    # The files are stored with the delivery, once for all of its attempts.
    text = _whole_payload_text(request, body)
    return without_contents(text, request.raw("long_texts"))


def _whole_payload_text(request, body: bytes | None) -> str:
    if request.request_body_mode == "json" and body is not None:
        return body.decode()
    payload = request.raw("payload")
    if isinstance(payload, str):
        return payload
    if isinstance(payload, bytes):
        return payload.decode("utf-8", "replace")
    return _dumps(payload)


def _row(
    snapshot,
    claimed,
    *,
    state,
    method,
    body_mode,
    url,
    headers,
    payload,
    files,
    body=None,
    subject=None,
    request_hash=None,
    finished_at=None,
    note=None,
    error=None,
    reason=None,
):
    secrets = snapshot.trust.secrets
    if secrets:
        headers, payload = (mask_text(text, secrets) for text in (headers, payload))
    number = claimed.attempt_count + 1
    return (
        claimed.id,
        f"{claimed.name} / Attempt {number}",
        number,
        state,
        finished_at,
        method,
        body_mode,
        stored_url(url, secrets),
        storable_text(headers),
        storable_text(payload),
        files and storable_text(files),
        note and storable_text(note),
        error and storable_text(error),
        reason,
        body_hash(body),
        subject,
        request_hash,
        snapshot.config_version,
    )


def shown_request(prepared: Prepared, secrets) -> Shown:
    """A request that is not sent, as an attempt would store it."""
    request, encoded = prepared.request, prepared.encoded
    headers = {
        name: storable_text(mask_text(value, secrets) if secrets else value)
        for name, value in mask_headers(dict(encoded.headers)).items()
    }
    body = _payload_text(request, encoded.body)
    return Shown(
        method=request.http_method,
        url=stored_url(encoded.url, secrets),
        headers=headers,
        body=storable_text(mask_text(body, secrets) if secrets else body),
        is_json=request.request_body_mode not in ("raw", "csv"),
        files=request.multipart_file_keys_label or "",
    )


def body_hash(body: bytes | None) -> str | None:
    """SHA-256 of a body in hexadecimal digits; None without a body."""
    return sha256(body).hexdigest() if body else None


def stored_url(url, secrets) -> str:
    """A URL as an attempt stores it: secrets are masked."""
    url = mask_url(url)
    return storable_text(mask_text(url, secrets) if secrets else url)


def _decision_row(snapshot, request, result, now):
    return _row(
        snapshot,
        result.claimed,
        state=result.attempt_state,
        finished_at=now,
        method=request.http_method,
        body_mode=request.request_body_mode,
        url=request.target_url or "-",
        headers=_dumps(mask_headers(request.raw("headers"))),
        payload=_payload_text(request, None),
        files=request.multipart_file_keys_label or None,
        note=result.note,
        error=result.error,
        reason=result.reason,
    )


def _row_size(row) -> int:
    return sum(len(value) for value in row if isinstance(value, str))


def trace_decisions(cr, snapshot, traced: list[tuple], owner, now):
    """Record requests that a decision or a refusal ended.

    traced: pairs of request and AttemptResult
    """
    rows = (_decision_row(snapshot, *each, now) for each in traced)
    for page in pages(rows, _row_size, count=PAGE):
        _insert_attempts(cr, snapshot, page, owner, now)


def response_values(response, secrets):
    """Status, headers and body of a response as stored: secrets are masked."""
    if response is None or response.status_code is None:
        return None, None, None
    body = response.text + (TRUNCATED if response.truncated else "")
    headers = _dumps(joined(mask_headers(response.headers)))
    if secrets:
        headers, body = (mask_text(text, secrets) for text in (headers, body))
    return response.status_code, storable_text(headers), storable_text(body)


def close_attempts(cr, closed: list[tuple], *, hooks_follow=False):
    """Update attempts from pairs (AttemptResult, values of its response).

    :param hooks_follow: mark responses whose values are yet to be stored, or whose hook
        is yet to be called, in a later transaction
    """
    if closed:
        rows = [_attempt_values(*each, hooks_follow) for each in closed]
        cr.execute(sql.close_attempts(rows))


def _attempt_values(result, response, hooks_follow):
    status, headers, body = response
    is_due = (
        hooks_follow
        and status is not None
        and (result.calls_hook or result.taken is not None)
    )
    if result.is_final:  # the delivery keeps the last response: stored there alone
        headers = body = None
    return (
        result.attempt_id,
        result.attempt_state,
        result.reason,
        result.started_at,
        result.at,
        round(result.duration * 1000),
        status,
        headers,
        body,
        result.note and storable_text(result.note),
        result.error and storable_text(result.error),
        1 if is_due else None,
        taken_text(result.taken) if is_due and result.taken else None,
    )


def taken_text(taken) -> str:
    """`StoredValues` as kept with the attempt until they are stored."""
    return storable_text(_dumps(taken))


def _insert_references(cr, results, now):
    """Insert the references of records that the receiver created."""
    rows = []
    for result in results:
        found = result.taken and result.taken.external_id()
        model, record_id = result.taken.about if found else (None, None)
        if record_id:
            scope, external_id = found
            each = (scope, model, record_id, external_id, result.claimed.id, now)
            rows.append(each)
    if rows:
        cr.execute(sql.insert_references(rows))


def record(
    cr, results: list[AttemptResult], owner: str, now, secrets=(), *, hooks_follow=False
) -> list[AttemptResult]:
    """Write results: deliveries that this job still owns, and their attempts.

    :param secrets: masked in everything that is written
    :param hooks_follow: values of responses are stored, and hooks called, in a later
        transaction
    :return: the results that were written; a successor owns the others by now
    """
    if not results:
        return []
    responses = [
        response_values(result.response, _secrets_of(result, secrets))
        for result in results
    ]
    _mask(results, secrets)
    rows = [
        _delivery_values(result, response)
        for result, response in zip(results, responses, strict=True)
    ]
    update = sql.record_deliveries(owner, now, rows)
    replaced = [
        result.claimed.id
        for result, (status, _headers, _body) in zip(results, responses, strict=True)
        if status is not None and result.claimed.attempt_count
    ]
    if replaced:  # earlier attempts may show the response that the delivery has so far
        keep = sql.complete_attempts(replaced, RESPONSE)
        update = SQL("%s; %s", keep, update)
    cr.execute(update)
    mine = {row[0] for row in cr.fetchall()}
    closed = [
        (result, response)
        for result, response in zip(results, responses, strict=True)
        if result.attempt_id and result.claimed.id in mine
    ]
    close_attempts(cr, closed, hooks_follow=hooks_follow)
    _insert_references(cr, [result for result, _response in closed], now)
    return [result for result in results if result.claimed.id in mine]


def record_singly(
    env,
    results: list[AttemptResult],
    owner: str,
    now,
    secrets=(),
    *,
    hooks_follow=False,
) -> list[AttemptResult]:
    """Like `record`, one by one, after the database refused all of them together.

    A result that can't be stored keeps its state and loses its texts, with a note that
    names the error; if that is refused too, the delivery waits in error.
    """
    written = []
    for result in results:
        written += _record_one(env, result, owner, now, secrets, hooks_follow)
    return written


def _record_one(env, result, owner, now, secrets, hooks_follow) -> list[AttemptResult]:
    error, tried = None, result
    for reduce in (_without_texts, _in_error, _without_attempt, None):
        try:
            with env.cr.savepoint(flush=False):
                written = record(
                    env.cr, [tried], owner, now, secrets, hooks_follow=hooks_follow
                )
            # Hooks get the response as it was received.
            return [
                replace(each, response=result.response, attempt_id=result.attempt_id)
                for each in written
            ]
        except Exception as refusal:
            if env.cr.closed or lost_race(refusal):
                raise
            error = error or refusal
        tried = reduce and reduce(env, result, error)
    _logger.error(
        "result not recorded delivery=%s state=%s: %s",
        result.claimed.id,
        result.state,
        error,
    )
    return []


def _without_texts(env, result, error):
    said = translate(env, NOT_STORED, error=_message(error))
    response = result.response and replace(result.response, headers=(), body=b"")
    return replace(result, response=response, rule_id=None, note=said, taken=None)


def _in_error(env, result, error):
    reduced = _without_texts(env, result, error)
    status = result.response.status_code if result.response else None
    said = translate(
        env,
        NOT_RECORDED,
        state=result.state,
        status=status or "-",
        error=_message(error),
    )
    return replace(
        reduced,
        state="error",
        attempt_state="error",
        next_attempt_at=None,
        note=None,
        error=said,
    )


def _without_attempt(env, result, error):
    return replace(_in_error(env, result, error), attempt_id=0)


def _message(error) -> str:
    return f"{type(error).__name__}: {str(error).strip()}"


def _secrets_of(result, secrets):
    """Secrets to mask, including the secret query values of the sent request."""
    url = result.prepared.encoded.url if result.prepared else ""
    return (*secrets, *url_secrets(url)) if "?" in url else secrets


def _mask(results, given):
    for result in results:
        secrets = _secrets_of(result, given)
        if not secrets:
            continue
        result.note = result.note and mask_text(result.note, secrets)
        result.error = result.error and mask_text(result.error, secrets)


def _delivery_values(result, response):
    status, headers, body = response
    return (
        result.claimed.id,
        result.state,
        result.reason,
        result.next_attempt_at,
        result.retry_number,
        result.at if result.is_final else None,
        status,
        headers,
        body,
        result.note and storable_text(result.note),
        result.error and storable_text(result.error),
        result.rule_id,
    )


def open_or_refuse(env, snapshot, prepared, owner, slot, now) -> tuple[list, list]:
    """Insert the attempts of what is sent next; to be committed before that.

    :return: what may be sent, and AttemptResults of requests that can't be stored
    """
    if not prepared:
        return [], []
    try:
        with env.cr.savepoint(flush=False):
            open_attempts(env.cr, snapshot, prepared, owner, slot, now)
        return prepared, []
    except Exception as error:
        if env.cr.closed or lost_race(error):
            raise
        if len(prepared) == 1:
            shortage = Shortage.of(error)
            if shortage:
                shortage.delivery_id = prepared[0].claimed.id
                raise shortage from error
            return [], _refuse(env, snapshot, prepared[0].claimed, error, owner, now)
    opened, refused = [], []
    for each in prepared:
        more, failed = open_or_refuse(env, snapshot, [each], owner, slot, now)
        opened += more
        refused += failed
    return opened, refused


def _refuse(env, snapshot, claimed, error, owner, now) -> list[AttemptResult]:
    _logger.warning("attempt refused delivery=%s", claimed.id, exc_info=error)
    said = translate(env, NOT_OPENED, error=_message(error))
    refused = Refused(claimed, "build", said)
    results = [result_of_refusal(refused, now)]
    return conclude(env, snapshot, [refused], results, owner, now)


def conclude(env, snapshot, stages, results, owner, now) -> list[AttemptResult]:
    """Record what ended without a request: decided, refused and superseded deliveries.

    If the request was built, an attempt shows what would have been sent. What the
    database refuses to store becomes an error of that delivery alone.
    """
    try:
        with env.cr.savepoint(flush=False):
            return _conclude(env.cr, snapshot, stages, results, owner, now)
    except Exception as error:
        if env.cr.closed or lost_race(error):
            raise
        if len(results) == 1:
            return _conclude_refused(env, snapshot, results[0], error, owner, now)
    written = []
    for stage, result in zip(stages, results, strict=True):
        written += conclude(env, snapshot, [stage], [result], owner, now)
    return written


def _conclude_refused(env, snapshot, result, error, owner, now):
    _logger.warning("result refused delivery=%s", result.claimed.id, exc_info=error)
    said = translate(env, NOT_CONCLUDED, state=result.state, error=_message(error))
    refused = Refused(result.claimed, result.reason or "handler", said)
    results = [result_of_refusal(refused, now)]
    return _conclude(env.cr, snapshot, [refused], results, owner, now)


def _conclude(cr, snapshot, stages, results, owner, now) -> list[AttemptResult]:
    secrets = snapshot.trust.secrets
    _mask(results, secrets)
    traced = [
        (stage.request, result)
        for stage, result in zip(stages, results, strict=True)
        if getattr(stage, "request", None) is not None
    ]
    traced_ids = [result.claimed.id for _request, result in traced]
    others = [each.claimed.id for each in results if each.claimed.id not in traced_ids]
    if traced:
        for _request, result in traced:
            result.is_traced = True
        cr.execute(sql.mark_processing(traced_ids, owner, None, now, attempts=1))
        trace_decisions(cr, snapshot, traced, owner, now)
    if others:
        cr.execute(sql.mark_processing(others, owner, None, now, attempts=0))
    return record(cr, results, owner, now, secrets)


def record_and_commit(env, health, decided, owner, slot, now, secrets) -> Recorded:
    """Write results, circuit and figures, repeated after an error; a request never is.

    :param decided: pairs of AttemptResult and the signal for the circuit
    :param slot: of the lane, which counts attempts in a row of its own
    """
    results = [result for result, _signal in decided]
    signals = [signal for _result, signal in decided]
    backoff = max((result.backoff for result in results), default=0.0)
    write, count = partial(record, env.cr), count_attempts
    for left in reversed(range(TRIES)):
        try:
            written = write(results, owner, now, secrets, hooks_follow=True)
            before, after = health.note(signals, now, backoff=backoff, results=written)
            count(env.cr, health.endpoint_id, slot, written)
            env.cr.commit()
            return Recorded(results, written, before, after)
        except Exception as error:
            if env.cr.closed or not left:
                raise
            env.cr.rollback()
            if not lost_race(error):
                write = partial(record_singly, env)
                count = partial(safely, count_attempts)
            _logger.info("record endpoint=%s repeated: %s", health.endpoint_id, error)
