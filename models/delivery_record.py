# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Deliveries found, and the record that one is about shown.

Names of records are read with the rights of the reader: a delivery may be about a
record that its reader may not see, so a name is shown only if the record can be read.
Searches read no history: an index on dates or message ids would be written at every
step of every delivery, but ids grow with the creation date.
"""

import re
from collections import defaultdict
from datetime import timedelta
from typing import NamedTuple

from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ..lane.clock import utcnow
from .const import FAILURE_REASONS
from .delivery_failures import BY_HAND, BY_STATUS, OTHER, reason_domain, reason_label
from .errors import refused
from .field_value import RETRIED_ERRORS
from .queue_request import message_time

# Records of one model that a search by name may find. More could not be looked up by
# index, and nobody reads that many.
MATCHES_MAX = 1000
MODEL_AND_ID = re.compile(r"\s*([a-z_][a-z0-9_.]*)\s*,\s*([0-9]{1,10})\s*\Z")
ID_MAX = 2**31 - 1


class RecordLabel(NamedTuple):
    """How a record is shown; `opens`: whether the reader can open it."""

    text: str
    opens: bool


def record_labels(env, subjects):
    """Labels of records, in the rights and language of `env`: a query per model.

    :param subjects: pairs of model name and id
    :return: dict of pair -> RecordLabel. Without access it is model and id.
    """
    by_model = defaultdict(set)
    for model_name, record_id in subjects:
        by_model[model_name].add(record_id)
    labels = {}
    for model_name, ids in by_model.items():
        found = _names(env, model_name, ids)
        deleted = _deleted(env, model_name, ids - found.keys())
        for record_id in ids:
            if name := found.get(record_id):
                label = RecordLabel(name, True)
            else:
                text = f"{model_name}, {record_id}"
                if record_id in deleted:
                    text = env._("%s (deleted)", text)
                # Readable, but its name could not be computed.
                label = RecordLabel(text, record_id in found)
            labels[model_name, record_id] = label
    return labels


def open_record(owner):
    """The action that opens the record of a delivery or of an external reference.

    :param owner: has `res_model` and `res_id`
    :raise ValidationError: the record was deleted
    """
    record = None
    if owner.res_model in owner.env and owner.res_id:
        record = owner.env[owner.res_model].browse(owner.res_id).exists()
    if not record:
        raise refused(
            owner, owner.env._("its record was deleted, so it can't be opened.")
        )
    return {
        "type": "ir.actions.act_window",
        "res_model": record._name,
        "res_id": record.id,
        "views": [(False, "form")],
    }


def _is_readable(model):
    """Whether deliveries can be about this model and the user may read some of it."""
    return model is not None and not model._abstract and model.has_access("read")


def _names(env, model_name, ids):
    """Display names of the records that the user may read; empty if it has none."""
    model = env.get(model_name)
    if not _is_readable(model):
        return {}
    model = model.with_context(active_test=False)
    domain = [("id", "in", list(ids))]
    try:
        records = model.search_fetch(domain, ["display_name"], order="id")
    except AccessError:  # the name is made of fields that are limited to groups
        records = model.search(domain, order="id")
    return {record.id: _name(record) for record in records}


def _name(record):
    try:
        return record.display_name or ""
    except RETRIED_ERRORS:
        raise
    except Exception:  # of the computation: one broken name must not break a list
        return ""


def _deleted(env, model_name, ids):
    """Those of `ids` that don't exist; only for a user who may read the model."""
    model = env.get(model_name)
    if model is None or model._abstract:
        return ids
    # Otherwise a user could find out which ids exist.
    if not ids or not model.has_access("read"):
        return set()
    return ids - set(model.sudo().browse(ids).exists().ids)


def record_domain(deliveries, operator, value):
    """Deliveries about records with such a name, or with `model,id`.

    Searches the models that deliveries are about, with the rights of the user.
    :raise UserError: too many records match
    """
    if operator in ("in", "="):
        values = value if operator == "in" else [value]
        return Domain.OR(_domain_of_value(deliveries, "=", each) for each in values)
    if operator not in ("ilike", "like", "=ilike", "=like"):
        return NotImplemented
    return _domain_of_value(deliveries, operator, value)


def _domain_of_value(deliveries, operator, value):
    if not value:
        return Domain("res_id", "=" if operator == "=" else "!=", False)
    if match := MODEL_AND_ID.match(value):
        record_id = int(match[2])
        return Domain("res_model", "=", match[1]) & Domain(
            "res_id", "=", record_id if record_id <= ID_MAX else 0
        )
    parts = []
    for model_name in _models_in_use(deliveries):
        ids = _matching(deliveries.env, model_name, operator, value.strip())
        if ids:
            of_model = Domain("res_model", "=", model_name)
            parts.append(of_model & Domain("res_id", "in", ids))
    return Domain.OR(parts)


def _models_in_use(deliveries):
    """Names of the models that deliveries are about, by a few steps in an index."""
    rows = deliveries.env.execute_query(
        SQL(
            """WITH RECURSIVE found AS (
                (SELECT res_model FROM bwt_webhook_outbound_delivery
                WHERE res_id IS NOT NULL ORDER BY res_model LIMIT 1)
                UNION ALL
                SELECT (
                    SELECT res_model FROM bwt_webhook_outbound_delivery
                    WHERE res_id IS NOT NULL AND res_model > found.res_model
                    ORDER BY res_model LIMIT 1
                ) FROM found WHERE found.res_model IS NOT NULL
            ) SELECT res_model FROM found WHERE res_model IS NOT NULL"""
        )
    )
    return [name for (name,) in rows]


def _matching(env, model_name, operator, value):
    """Ids of readable records of a model with such a name."""
    model = env.get(model_name)
    # Without a name Odoo would find every record.
    if not _is_readable(model) or not (model._rec_names_search or model._rec_name):
        return []
    domain = [("display_name", operator, value)]
    model = model.with_context(active_test=False)
    try:
        found = model.search(domain, limit=MATCHES_MAX + 1, order="id")
    except (AccessError, NotImplementedError, ValueError):
        return []  # its name can't be searched, or not by this user
    if len(found) > MATCHES_MAX:
        raise UserError(
            env._(
                '"%(text)s" matches more than %(count)s records of %(model)s. Enter '
                "more of the name.",
                text=value,
                count=MATCHES_MAX,
                model=env["ir.model"]._get(model_name).sudo().name,
            )
        )
    return found.ids


# The creation date is the start of the transaction: rows with later ids may be older
# by the length of the longest transaction.
LONGEST_TRANSACTION = timedelta(hours=6)
DAYS_MAX = 36500


def first_id(env, since):
    """An id that no delivery created since `since` is below; a few index lookups.

    :param since: naive UTC
    """
    # Halves the range of ids until the first delivery of the period is found.
    [[found]] = env.execute_query(
        SQL(
            """WITH RECURSIVE step(low, high) AS (
                SELECT 0::bigint, COALESCE(max(id), 0)::bigint + 1
                FROM bwt_webhook_outbound_delivery
                UNION ALL
                SELECT CASE WHEN is_older THEN found.id ELSE low END,
                    CASE WHEN is_older THEN high ELSE middle END
                FROM step
                CROSS JOIN LATERAL (SELECT (low + high) / 2 AS middle) AS half
                LEFT JOIN LATERAL (
                    SELECT id, create_date < %(since)s AS is_older
                    FROM bwt_webhook_outbound_delivery
                    WHERE id >= middle AND id < high ORDER BY id LIMIT 1
                ) AS found ON TRUE
                WHERE high - low > 1
            ) SELECT min(high) FROM step""",
            since=since - LONGEST_TRANSACTION,
        )
    )
    return found


def age_domain(deliveries, operator, value):
    """Deliveries that were created at most or at least so many days ago."""
    if operator not in ("<", "<=", ">", ">=") or isinstance(value, bool):
        return NotImplemented
    days = max(-DAYS_MAX, min(float(value), DAYS_MAX))
    since = utcnow() - timedelta(days=days)
    created = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[operator]
    domain = Domain("create_date", created, since)
    if operator in ("<", "<="):
        domain &= Domain("id", ">=", first_id(deliveries.env, since))
    return domain


def message_domain(deliveries, operator, value):
    """Deliveries with these message ids, looked for where their time says."""
    if operator not in ("=", "in"):
        return NotImplemented
    texts = [value] if operator == "=" else value
    return Domain.OR(_one_message(deliveries.env, each) for each in texts)


def _one_message(env, text):
    text = (text or "").strip()
    domain = Domain("message_uid", "=", text)
    made = message_time(text)
    if made is None:  # set by other code, or before ids had a time
        return domain
    # Its creation date may be that much earlier, and so may those of its neighbours.
    domain &= Domain("id", ">=", first_id(env, made - LONGEST_TRANSACTION))
    return domain & Domain("id", "<", first_id(env, made + 3 * LONGEST_TRANSACTION))


def reasons_domain(env, operator, value):
    """Deliveries that failed for these reasons: by key or label, or part of a label.

    False is the reason of what did not fail.
    """
    if operator == "=":
        operator, value = "in", [value]
    if operator == "in":
        wanted = set(value)
        found = wanted & _reasons().keys()
        labels = wanted - found - {False, None, ""}
        found |= {
            each for each in labels and _reasons() if reason_label(env, each) in labels
        }
        domains = [_of_reason(each) for each in found]
        if wanted & {False, None, ""}:
            domains.append(Domain("state", "not in", ["error", "dead_letter"]))
        return Domain.OR(domains)
    if operator == "ilike":
        part = (value or "").lower()
        found = [each for each in _reasons() if part in reason_label(env, each).lower()]
        return Domain.OR(map(_of_reason, found))
    return NotImplemented


def _of_reason(reason):
    domain = Domain(reason_domain(reason))
    if reason in BY_STATUS:  # without a status; with one it is `http_404`
        domain &= Domain("response_status_code", "=", 0)
    return domain


def _reasons():
    """Every reason that there can be, in the order of a list."""
    return dict.fromkeys(
        [
            *(reason for reason, _text in FAILURE_REASONS),
            *(f"http_{status}" for status in range(100, 1000)),
            BY_HAND,
            OTHER,
        ]
    )
