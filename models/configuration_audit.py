# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Each saved change of the configuration is one message, with old and new values.

The values are tracking values of the fields, so that Odoo shows each only to users who
may read the field. Unlike Odoo's tracking, no context of the caller switches it off.
"""

from contextlib import contextmanager

from markupsafe import Markup

from .configuration_difference import by_record, compare
from .configuration_document import (
    ACTION,
    AUDITED,
    PARENTS,
    document_fields,
    node_of,
)
from .const import ENDPOINT

_KEY = "bwt_webhook_configuration_audit"
# Where tracking values of a type are stored; all other types: as text.
_COLUMNS = {
    "boolean": "integer",
    "integer": "integer",
    "float": "float",
    "text": "text",
}


class Audit:
    """The records that one save may change, as they were before it."""

    def __init__(self):
        self.before = {}
        self.created = set()
        self.secrets = {}

    def add(self, records):
        for record in records:
            if record.id and record not in self.before:
                self.before[record] = node_of(record, audited=True)

    def ignore(self, records):
        """These records are new: Odoo's own message says so."""
        self.created.update(records)

    def note_secrets(self, endpoints, columns):
        """Secrets that were entered or removed; never their values."""
        for endpoint in endpoints:
            self.secrets.setdefault(endpoint.sudo(False), set()).update(columns)

    def finish(self):
        for record, before in self.before.items():
            if record in self.created or not record.exists():
                continue
            after = node_of(record, audited=True)
            changes = compare(before, after, by_record)
            secrets = self.secrets.get(record.sudo(False), set())
            if changes or secrets:
                _post(record, before, changes, secrets)


@contextmanager
def recorded(env, records=None):
    """What the block changes in these records becomes one message on each.

    Inside another such block its changes belong to that one's message: a form is saved
    with its lines.
    """
    cache = env.cr.cache
    audit = cache.get(_KEY)
    if audit is not None:
        audit.add(records or ())
        yield audit
        return
    audit = cache[_KEY] = Audit()
    try:
        audit.add(records or ())
        yield audit
        audit.finish()
    finally:
        cache.pop(_KEY, None)


def is_recorded(model, vals):
    """Whether a write of these values may change what is recorded."""
    values, parts = document_fields(model)
    return not vals.keys().isdisjoint({*values, *parts, *AUDITED.get(model._name, ())})


def owners(parts):
    """The endpoints, handlers and server actions that these parts belong to."""
    while parts and parts._name in PARENTS:
        parts = parts.sudo()[PARENTS[parts._name]]
    return parts


def owners_of_new(model, vals_list):
    """The records that parts with these values will belong to."""
    parent = PARENTS.get(model._name)
    if not parent:
        return None
    default = model.env.context.get(f"default_{parent}")
    ids = {vals.get(parent) or default for vals in vals_list}
    known = model.env[model._fields[parent].comodel_name]
    return owners(known.browse([each for each in ids if isinstance(each, int)]))


def _post(record, before, changes, secrets):
    tracked = [_tracking(record, change) for change in changes]
    body = _body(record, secrets)
    targets = record
    if record._name == ACTION:
        # The message is on the endpoint; Odoo shows values without a field of the
        # endpoint to Settings administrators only, who may read server actions.
        endpoints = record.env[ENDPOINT].sudo().with_context(active_test=False)
        code = before.values.get("bwt_webhook_endpoint_id")
        targets = record.sudo().bwt_webhook_endpoint_id | endpoints.search(
            [("code", "=", code)]
        )
    for target in targets.sudo():
        target._message_log(
            body=body, tracking_value_ids=[(0, 0, vals) for vals in tracked]
        )


def _body(record, secrets):
    env = record.env
    if record._name == ACTION:
        return env._('Server action "%s" was changed.', record.sudo().name)
    labels = {
        "auth_secret": env._("Secret"),
        "signing_secret": env._("Signing Secret"),
        "old_secret": env._("Previous Signing Secret"),
        "client_certificate": env._("Client Certificate"),
    }
    lines = [
        env._("%s: changed", labels.get(column, column)) for column in sorted(secrets)
    ]
    return Markup("<br/>").join(lines)


def _tracking(record, change):
    """The values of one tracking value."""
    env = record.env
    top = change.path[0]
    known = record._fields[top.field]
    old, new = change.texts(env)
    kind = _COLUMNS.get(known.type, "char")
    if len(change.path) == 1 and kind in ("integer", "float"):
        old, new = change.old, change.new
    elif known.type == "one2many":
        old, new = (_of_part(env, change, text) for text in (old, new))
    vals = {f"old_value_{kind}": old, f"new_value_{kind}": new}
    if record._name != ACTION:
        field = env["ir.model.fields"]._get(record._name, top.field)
        return vals | {"field_id": field.id}
    if kind != "char":
        vals = dict(
            zip(("old_value_char", "new_value_char"), change.texts(env), strict=True)
        )
    info = {"desc": top.label(env), "name": top.field, "type": "char"}
    return vals | {"field_info": info}


def _of_part(env, change, text):
    """A value of a rule, after the rule and the field that it belongs to."""
    if change.status == "order" or not text:
        return text
    names = [change.path[0].part] if change.path[0].part else []
    names += [step.label(env) for step in change.path[1:]]
    return ": ".join([*names, text])
