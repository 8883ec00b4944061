# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a server action queues: a request per record, and its delivery.

One delivery per action, record and transaction, unless it is set to queue each time.
"""

from odoo import SUPERUSER_ID, Command

from ..lane import sql
from ..lane.clock import utcnow
from ..services.formats import OMITTED
from ..services.jsonable import to_json_value
from ..services.paths import write_path
from ..services.values import storable_text
from .action_changes import (
    RecordChanges,
    changes_path,
    read_old_values,
    watched_names,
)
from .const import DELIVERY
from .endpoint_queue import DRAFT
from .endpoint_snapshot import build_context
from .field_value import RETRIED_ERRORS
from .file_selection import compile_files
from .payload_list import compile_payload
from .queue_request import RECORD_FILES, default_name, read_requests
from .record_payload import (
    RecordScope,
    compile_record_payload,
    refuse_limited_fields,
)

# Key of the deliveries of this transaction, stored on its cursor until it ends. A
# rollback to a savepoint doesn't change it: entries are verified before use.
REMEMBERED = "bwt_webhooks_outbound.by_action"
ERROR_LENGTH = 10_000  # characters kept of an error


# What an action sends for its records


def compile_action(action):
    """A function `(records, changes) -> arguments of queue_delivery`, a dict each.

    `changes`: id -> `RecordChanges`; without them no old value is known.

    It reads the current values, as superuser in the endpoint's company and language.
    Without records it returns one dict, about no record; it raises a ServiceError if a
    value can't be read or sent.
    :raise ServiceError: a line of the action is invalid
    """
    endpoint = action.bwt_webhook_endpoint_id.sudo()
    context = build_context(endpoint) if endpoint else {}
    env = action.env(user=SUPERUSER_ID, su=True, context=context)
    endpoint = endpoint.with_env(env)
    payload_of = _compile_payload(action, env)
    lines = [
        (line.target, line._compiled_value(env))
        for line in action.bwt_webhook_context_ids.filtered("target")
    ]
    supersede, settle = action.bwt_webhook_supersede, None
    if seconds := action.bwt_webhook_settle_seconds:
        settle = seconds, action.bwt_webhook_settle_max_seconds
    skips_unchanged = action.bwt_webhook_skip_if_unchanged
    add_changes = _compile_changes(action)
    files = compile_files(action, env)

    def request_of(record, changes, found):
        scope = RecordScope(record, endpoint)
        scope.changes = changes
        for key, read in lines:
            value = read(scope)
            if value is not OMITTED:
                scope.context_values[key] = to_json_value(value, key)
        payload, record_files = add_changes(payload_of(scope), changes), None
        if files is not None:
            scope.need_record()
            payload, record_files = files.add(payload, scope, found[record.id])
        return {
            "payload": payload,
            RECORD_FILES: record_files,
            "context_lines": scope.context_values,
            "record": record or None,
            "supersede": supersede and bool(record),
            "settle": settle if supersede and record else None,
            "skip_if_unchanged": skips_unchanged and bool(record),
            "name": _delivery_name(action, record),
        }

    def requests_of(records, changes=None):
        # One prefetch group: a field read from one record is read for all.
        records = records.with_env(env)
        changes = changes or {}
        found = files.find(records) if files is not None and records else {}
        return [
            request_of(
                record, changes.get(record.id) or RecordChanges.unknown(record), found
            )
            for record in (records or [records])
        ]

    return requests_of


def _delivery_name(action, record):
    """`<record> / <action>`; None without a record, or if its name can't be read."""
    if not record:
        return None
    try:
        name = record.sudo().display_name
    except RETRIED_ERRORS:
        raise
    except Exception:  # of the computation: the payload may not need the name
        return None
    return name and storable_text(f"{name} / {action.name}")


def _compile_payload(action, env):
    """A function `scope -> payload`."""
    if action.bwt_webhook_payload_mode == "rules":
        lines = action.bwt_webhook_rule_ids
        rules = compile_payload(lines, env, lambda target, read, _: (target, read))
        return lambda scope: _by_rules(rules, scope)
    model_name = action.model_id.model
    lines = action.bwt_webhook_field_ids.filtered("source_expression")
    paths = [line.source_expression.strip() for line in lines]
    for path in paths:
        refuse_limited_fields(env, model_name, path)
    read = compile_record_payload(env, model_name, paths)
    head = {"_model": model_name, "_id": False}
    # As Odoo's webhook action names itself; without a number until it is saved.
    number = f"(#{action._origin.id})" if action._origin.id else ""
    tail = {"_action": f"{action.name}{number}"}

    def payload_of(scope):
        record = scope.record if not paths else scope.need_record()
        return head | {"_id": record.id} | tail | read(record, scope.empty)

    return payload_of


def _compile_changes(action):
    """A function `(payload, RecordChanges) -> payload` with what changed."""
    if not action.bwt_webhook_add_changes:
        return lambda payload, changes: payload
    watched, path = watched_names(action), changes_path(action)
    return lambda payload, changes: write_path(
        payload, path, changes.entries(watched), owned=True
    )


def _by_rules(rules, scope):
    payload = {}
    for target, source in rules:
        value = source.value(scope)
        if value is not OMITTED:
            value = to_json_value(value, target)
            payload = write_path(payload, target, value, owned=True)
    return payload


# Its deliveries


def queue_for_action(action, endpoint, requests, origin="live"):
    """Queue what `action` built; on an endpoint in draft, store it as draft.

    A delivery that the action queued about the same record in this transaction is
    updated with the current values, unless the action is set to queue each time.

    :param endpoint: active or in draft, with sudo
    :param requests: list of dicts with the arguments of `queue_delivery`
    :return: the deliveries
    """
    records = [each["record"] for each in requests]
    known = _of_this_transaction(action, endpoint, records)
    again, fresh = [], []
    for request in requests:
        is_known = _key(action, request["record"]) in known
        (again if is_known else fresh).append(request)
    deliveries = action.env[DELIVERY]
    if again:
        found = [known[_key(action, each["record"])] for each in again]
        deliveries += _update(endpoint, found, again)
    if fresh:
        vals = {"server_action_id": action.id, "origin": origin}
        if endpoint.state == "active":
            made = endpoint._queue_requests(fresh, vals)
        else:
            made = endpoint._store_drafts(fresh, vals)
        _remember(action, [each["record"] for each in fresh], made)
        deliveries += made
    return deliveries


def earlier_changes(action, endpoint, records):
    """What runs of this transaction stored with deliveries about these records.

    :return: record id -> (delivery id, `OldValues`)
    """
    known = _of_this_transaction(action, endpoint, records)
    stored = read_old_values(action.env, [row[0] for row in known.values()])
    return {
        key[2]: (row[0], stored[row[0]])
        for key, row in known.items()
        if row[0] in stored
    }


def remove_unchanged(endpoint, ids):
    """Remove deliveries of this transaction whose records are as they were before it.

    Deleted, not canceled: nobody has seen them, and the lane would find no reason why
    there was one. Later runs notice that the row is gone and insert another.
    """
    endpoint.env.flush_all()
    endpoint.env["ir.attachment"]._bwt_webhook_remove(ids)
    endpoint.env.cr.execute(sql.delete_unsent(ids))
    endpoint.invalidate_recordset(["outbound_delivery_ids"], flush=False)
    endpoint._silent_deliveries().browse(ids).invalidate_recordset(flush=False)


def store_not_built(action, endpoint, records, text, origin="live"):
    """Store what could not be built as deliveries in Error, one per record.

    They have no next attempt and no ordering group.

    :param records: empty for one delivery about no record
    :param text: what is wrong and where
    """
    now = utcnow()
    vals = DRAFT | {
        "state": "error",
        "needs_build": True,
        "queued_at": now,
        "queue_number": 0,
        "failure_reason": "build",
        "processing_error": storable_text(text)[:ERROR_LENGTH],
    }
    records = list(records) or [None]
    known = _of_this_transaction(action, endpoint, records)
    fresh = [record for record in records if _key(action, record) not in known]
    model = endpoint._silent_deliveries()
    deliveries = model.browse(row[0] for row in known.values())
    deliveries.write(vals)
    made = model.create(
        [
            vals
            | {
                "endpoint_id": endpoint.id,
                "server_action_id": action.id,
                "origin": origin,
                "name": _delivery_name(action, record)
                or storable_text(default_name(endpoint, now)),
                "supersede": action.bwt_webhook_supersede and bool(record),
                "res_model": record._name if record else False,
                "res_id": record.id if record else False,
            }
            for record in fresh
        ]
    )
    _remember(action, fresh, made)
    return deliveries + made


def _of_this_transaction(action, endpoint, records):
    """Deliveries that the action queued in this transaction and may still update.

    :return: dict of key -> (id, state)
    """
    if action.bwt_webhook_each_time:
        return {}
    remembered = action.env.cr.postcommit.data.get(REMEMBERED, {})
    keys = [_key(action, record) for record in records]
    ids = {remembered[key]: key for key in keys if key in remembered}
    if not ids:
        return {}
    action.env.flush_all()
    # Read from the database: a rollback to a savepoint may have removed some.
    action.env.cr.execute(sql.updatable(list(ids), endpoint.id))
    return {ids[row[0]]: row for row in action.env.cr.fetchall()}


def _remember(action, records, deliveries):
    if action.bwt_webhook_each_time:
        return
    remembered = action.env.cr.postcommit.data.setdefault(REMEMBERED, {})
    for record, delivery in zip(records, deliveries, strict=True):
        if record:
            remembered[_key(action, record)] = delivery.id


def _key(action, record):
    """Key of the one delivery per transaction; None without a record."""
    return (action.id, record._name, record.id) if record else None


# Deliveries that are updated


def _update(endpoint, found, requests):
    """Update deliveries with the values of these requests.

    :param found: (id, state) of each
    """
    requested = read_requests(endpoint, requests, utcnow())
    model = endpoint._silent_deliveries()
    deliveries = model.browse(delivery_id for delivery_id, _state in found)
    failed = model.browse(each for each, state in found if state == "error")
    if failed or endpoint._has_foreign_hooks():
        for delivery, each in zip(deliveries, requested, strict=True):
            write_request(delivery, each)
    else:
        _update_rows(endpoint, deliveries, requested)
        _replace_files(deliveries, requested)
    if endpoint.state == "active":
        failed._put_in_queue(fresh=True)
    else:
        failed.write(DRAFT | {"failure_reason": False, "processing_error": False})
    return deliveries


def _update_rows(endpoint, deliveries, requested):
    """Update with up to three statements for any number of deliveries."""
    cr, uid = endpoint.env.cr, endpoint.env.uid
    cr.execute_values(
        sql.REQUEUE_VALUES,
        [
            (delivery.id, each.vals["payload_json"], uid)
            for delivery, each in zip(deliveries, requested, strict=True)
        ],
    )
    if any(each.lines for each in requested):
        cr.execute(sql.delete_lines(deliveries.ids))
        endpoint._insert_lines(deliveries.ids, requested)
    changed = ["payload_json", "context_line_ids", "write_date", "write_uid"]
    deliveries.invalidate_recordset(changed, flush=False)


def _replace_files(deliveries, requested):
    """Store the files of these requests instead of those of earlier ones."""
    found = {
        delivery.id: each.record_files
        for delivery, each in zip(deliveries, requested, strict=True)
        if each.record_files is not None
    }
    if found:
        attachments = deliveries.env["ir.attachment"].sudo()
        attachments._bwt_webhook_remove(found)
        attachments._bwt_webhook_store_record_files(found)


def write_request(delivery, requested, vals=None):
    """Write payload, files and context lines; lines of other keys are kept.

    No line is deleted: `unlink` invalidates the whole cache, which the save that
    runs the action may be using.
    """
    known = {line.key_name: line.id for line in delivery.context_line_ids}
    delivery.write(
        (vals or {})
        | {
            "payload_json": requested.vals["payload_json"],
            "needs_build": False,
            "context_line_ids": [
                Command.update(known[line["key_name"]], line)
                if line["key_name"] in known
                else Command.create(line)
                for line in requested.lines
            ],
        }
    )
    _replace_files(delivery, [requested])
