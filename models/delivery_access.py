# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a user may set on a delivery: no engine columns, and no unreadable record.

A delivery is built as superuser. Without this check a user could have any record read
by naming it on a delivery.
"""

from collections import defaultdict

from odoo.exceptions import AccessError

# Written by the engine and by buttons, both as superuser.
ENGINE_COLUMNS = (
    "message_uid",
    "state",
    "failure_reason",
    "queued_at",
    "processed_at",
    "next_attempt_at",
    "retry_number",
    "queue_to_done_seconds",
    "end_to_end_seconds",
    "response_status_code",
    "response_headers_json",
    "response_body",
    "processing_note",
    "processing_error",
    "matched_outbound_rule_id",
    "replayed_from_delivery_id",
    "replay_count",
    "attempt_count",
    "job_uuid",
    "lane_slot",
    "queue_number",
    "ordering_group",
    "interruption_count",
    "server_action_id",
    "origin",
    "needs_build",
    "build_tries",
    "edited_at_attempt",
    "content_deleted_at",
    "content_deletion",
    "payload_size",
    "forget_ids",
    "company_id",
)
COMPUTED = (
    *("queue_to_done_seconds", "end_to_end_seconds", "company_id"),
    "forget_ids",  # written from the other side
)
# Its place in the queue and its record: fixed once it is queued.
FIXED_ONCE_QUEUED = (
    *("endpoint_id", "res_model", "res_id"),
    *("ordering_key", "supersede", "skip_if_unchanged"),
)
BINDING = ("res_model", "res_id")


def engine_defaults(deliveries):
    """Engine columns of a new delivery, regardless of defaults of context and user."""
    fields = deliveries._fields
    return {
        name: fields[name].default(deliveries) if fields[name].default else False
        for name in ENGINE_COLUMNS
        if name not in COMPUTED
    }


def checked_to_create(deliveries, vals):
    """`vals` for `create` by a user, complete, so that no default adds to them.

    :raise AccessError: an engine column is set, or the record may not be read
    """
    blank = engine_defaults(deliveries)
    given = {
        name: vals[name]
        for name in ENGINE_COLUMNS
        if name in vals and (vals[name] or False) != (blank.get(name) or False)
    }
    _refuse_engine_columns(deliveries, given)
    vals = {**deliveries.default_get(BINDING), **vals, **blank}
    vals = {name: vals[name] for name in vals if name not in COMPUTED}
    vals = {**dict.fromkeys(BINDING, False), **vals}
    check_subjects(deliveries.env, [(vals["res_model"], vals["res_id"])])
    return vals


def check_to_write(deliveries, vals):
    """Refuse, for a user, engine columns and a record that they may not read.

    :raise AccessError: see above
    """
    _refuse_engine_columns(deliveries, vals)
    fixed = [name for name in FIXED_ONCE_QUEUED if name in vals]
    if not fixed:
        return
    for delivery in deliveries:
        if delivery.state != "draft":
            raise AccessError(
                deliveries.env._(
                    "Delivery %(name)s is not a draft, so %(fields)s can't be changed. "
                    "Reset it to draft first.",
                    name=delivery.name,
                    fields=_labels(deliveries, fixed),
                )
            )
    # Another endpoint has other rules, which read the record too.
    check_subjects(
        deliveries.env,
        [
            (vals.get("res_model", each.res_model), vals.get("res_id", each.res_id))
            for each in deliveries
        ],
    )


def check_subjects(env, subjects):
    """Refuse records that the user of `env` may not read.

    :param subjects: pairs of model name and id; both may be empty
    :raise AccessError: names model and id
    """
    by_model = defaultdict(set)
    for model_name, record_id in subjects:
        if model_name or record_id:
            by_model[model_name or ""].add(int(record_id or 0))
    for model_name, ids in by_model.items():
        records = _known_records(env, model_name, ids)
        if records is None or not records.has_access("read"):
            raise AccessError(
                env._(
                    "You may not read the record that the delivery is about "
                    "(%(model)s, %(ids)s). Choose a record that you may read, or ask a "
                    "user who may read it.",
                    model=model_name or "-",
                    ids=", ".join(map(str, sorted(ids))),
                )
            )


def check_relations(model, names, values):
    """Refuse records that the user may not read, given for relations of a form.

    A form computes fields of any record that it is given, before it is saved.
    :param names: fields of `model`
    :param values: field -> id, as a client gave them
    :raise AccessError: one may not be read
    """
    for name in names:
        if isinstance(values.get(name), int) and values[name]:
            records = model.env[model._fields[name].comodel_name]
            records.browse(values[name]).check_access("read")


def _known_records(env, model_name, ids):
    """The records with these ids; None where a delivery can't be about them."""
    model = env.get(model_name)
    if model is None or model._abstract or model._transient:
        return None
    records = model.browse(each for each in ids if each)
    # Checked first, so that a user can't find out which ids exist.
    if not model.has_access("read") or records.sudo().exists() != records:
        return None
    return records


def _refuse_engine_columns(deliveries, names):
    refused = [name for name in ENGINE_COLUMNS if name in names]
    if refused:
        raise AccessError(
            deliveries.env._(
                "%(fields)s can't be set on a delivery: they are recorded when it is "
                "queued and sent. Use its buttons instead.",
                fields=_labels(deliveries, refused),
            )
        )


def _labels(deliveries, names):
    return ", ".join(
        deliveries._fields[name]._description_string(deliveries.env) for name in names
    )
