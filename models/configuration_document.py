# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Configuration as values without IDs: what is exported, and what is compared.

A stored field of the configuration is part of the document unless `why_left_out` has a
reason. So a new field is exported without a change here, or its type is refused by
`export_value`, and a test reads both.
"""

import json
from dataclasses import dataclass, field

from odoo import models
from odoo.exceptions import AccessError
from odoo.fields import NO_ACCESS

from ..services.masking import MASK, is_sensitive
from .const import (
    ACTION_STATE,
    ANSWER_RULE,
    ANSWER_VALUE,
    ENDPOINT,
    GROUP_ADMIN,
    HANDLER,
    HANDLER_RULE,
)
from .endpoint_secrets import INPUTS
from .errors import refused

FORMAT = "bwt_webhooks_outbound.configuration"
FORMAT_VERSION = 1
ACTION = "ir.actions.server"
HEADER_RULE = f"{ENDPOINT}.header.rule"
PAYLOAD_RULE = f"{ENDPOINT}.payload.rule"
CONDITION = f"{HANDLER_RULE}.condition"
ASSIGNMENT = f"{HANDLER_RULE}.assignment"
LINE = "bwt.webhook.outbound.action.line"
FILE = "bwt.webhook.outbound.action.file"

# The lists of the document, in the order in which they are imported.
SECTIONS = {"handlers": HANDLER, "endpoints": ENDPOINT, "server_actions": ACTION}
# The field that is a part's place in the document.
PARENTS = {
    HEADER_RULE: "endpoint_id",
    PAYLOAD_RULE: "endpoint_id",
    ANSWER_RULE: "endpoint_id",
    ANSWER_VALUE: "endpoint_id",
    HANDLER_RULE: "handler_id",
    CONDITION: "rule_id",
    ASSIGNMENT: "rule_id",
    LINE: "action_id",
    FILE: "action_id",
}
# What tells the parts of one record apart; of equals, the order does.
KEYS = {
    HEADER_RULE: ("header_name",),
    PAYLOAD_RULE: ("target_path",),
    ANSWER_RULE: ("name", "statuses", "source_kind", "source_expression"),
    ANSWER_VALUE: ("target_kind", "target_model", "target_field", "data_key"),
    HANDLER_RULE: ("name",),
    CONDITION: ("source_kind", "source_expression", "literal_value"),
    ASSIGNMENT: ("target_scope", "target_expression"),
    LINE: ("target",),
    FILE: ("send_as", "part_name", "payload_path"),
}
# Lists of one model: what their records have in common.
LIST_VALUES = {
    "bwt_webhook_field_ids": {"usage": "field"},
    "bwt_webhook_rule_ids": {"usage": "payload"},
    "bwt_webhook_context_ids": {"usage": "context"},
}
READS_AS = "paths read with the rights of the user who imports"
LEFT_OUT = {
    ENDPOINT: {
        "state": "a new endpoint arrives in draft, an existing one keeps its state",
        "is_paused": "operation, not configuration",
        "circuit_reset_at": "operation, not configuration",
        "company_id": "chosen at the import",
        "config_version": "counts the changes in this database",
        "secret_expires_at": "belongs to a secret",
        "body_limited_to_user_id": READS_AS,
        "outbound_delivery_ids": "deliveries are not configuration",
        "health_ids": "measured, not configured",
    },
    HANDLER: {
        "company_id": "chosen at the import",
        "outbound_endpoint_ids": "endpoints name their handler",
    },
    LINE: {"usage": "the list that contains the line says it"},
}
FOR_PARTS = {
    "sequence": "the order of the list",
    "limited_to_user_id": READS_AS,
}
# Of Odoo's own fields of server actions: the key. Menus, groups, schedules and
# automation rules belong to the database that they are in.
ACTION_KEY = ("name", "model_id")
# Changes of these are recorded, too.
AUDITED = {ENDPOINT: ("state", "is_paused", "company_id"), HANDLER: ("company_id",)}


@dataclass(eq=False)
class Node:
    """One record of the configuration, from the database or from a document.

    values: by field, as JSON; parts: by field, the records that belong to it
    masked: values that the document shows as ***
    where: its place in the document, for messages
    """

    model: str
    values: dict
    parts: dict = field(default_factory=dict)
    masked: frozenset = frozenset()
    record: models.BaseModel | None = None
    where: str = ""

    def shown(self, name):
        value = self.values.get(name)
        return MASK if name in self.masked and value else value

    def key(self):
        """What it is recognized by among its siblings."""
        if self.model == ACTION:
            return tuple(self.values.get(name) for name in ACTION_KEY)
        if self.model not in KEYS:
            return (self.values.get("code"),)
        found = tuple(self.values.get(name) for name in KEYS[self.model])
        if self.model == LINE and not found[0]:
            return (self.values.get("source_expression"),)
        return found

    def label(self):
        return " ".join(str(part) for part in self.key() if part) or "-"

    def as_json(self):
        """Its values and parts, in the order of the fields."""
        shown = {name: self.shown(name) for name in self.values}
        parts = {
            name: [part.as_json() for part in nodes]
            for name, nodes in self.parts.items()
        }
        return shown | parts


def why_left_out(model, name):
    """Why a field is not in the document; None if it is."""
    known = model._fields[name]
    if model._name == ACTION and name in ACTION_KEY:
        return None
    if name in models.MAGIC_COLUMNS or name == "display_name":
        return "set by Odoo"
    if known.groups == NO_ACCESS or not known.exportable:
        return "a secret"
    if known.related or not known.store or (known.compute and known.readonly):
        return "computed"
    if name == PARENTS.get(model._name):
        return "its place in the document"
    if model._name in PARENTS and name in FOR_PARTS:
        return FOR_PARTS[name]
    if name in LEFT_OUT.get(model._name, {}):
        return LEFT_OUT[model._name][name]
    if model._name == ACTION and not name.startswith("bwt_webhook_"):
        return "a field of Odoo's own server actions"
    for mixin in ("mail.thread", "mail.activity.mixin"):
        if name in model.env[mixin]._fields:
            return "messages and activities"
    return None


def document_fields(model):
    """The fields of a model that are in the document, sorted: values, then parts."""
    names = sorted(name for name in model._fields if why_left_out(model, name) is None)
    is_part = {name: model._fields[name].type == "one2many" for name in names}
    return (
        [name for name in names if not is_part[name]],
        [name for name in names if is_part[name]],
    )


def export_value(record, name):
    """The value of a field as JSON; records by their code or technical name."""
    known, value = record._fields[name], record[name]
    if known.type in ("boolean", "integer"):
        return value
    if known.type == "float":
        return float(value)
    if known.type in ("char", "text", "selection"):
        return value or None
    if known.type == "reference":
        return _export_reference(record, name)
    if known.type in ("many2one", "many2many"):
        by = NAMED_BY.get(known.comodel_name)
        if by and known.type == "many2one":
            return value[by] or None
        if by:
            return sorted(value.mapped(by))
    raise TypeError(f"{record._name}.{name} has a type that can't be exported")


# How the document names records of other models.
NAMED_BY = {
    ENDPOINT: "code",
    HANDLER: "code",
    "ir.model": "model",
    "ir.model.fields": "name",
    "res.users": "login",
    "res.company": "name",
}


def _export_reference(record, name):
    """A record of another addon: there is no code that all of them have."""
    try:
        value = record[name]
    except KeyError:  # its addon isn't installed
        return None
    return {"model": value._name, "name": value.display_name} if value else None


def node_of(record, *, audited=False):
    """The `Node` of a record with its parts, read with sudo.

    :param audited: with fields that are recorded in the chatter, but not exported
    """
    # Texts that are translated: the source, whatever the language of the user.
    record = record.sudo().with_context(active_test=False, lang="en_US")
    values, parts = document_fields(record)
    if audited:
        values = [*values, *AUDITED.get(record._name, ())]
    node = Node(
        record._name,
        {name: export_value(record, name) for name in values},
        {name: _part_nodes(record[name], audited) for name in parts},
        record=record,
    )
    node.masked = masked_of(node)
    return node


def _part_nodes(records, audited):
    records = records.sorted(lambda each: (each.sequence, each.id))
    return [node_of(each, audited=audited) for each in records]


def masked_of(node):
    """Values of a rule that are a credential: headers such as X-Api-Key."""
    name = None
    if node.model == HEADER_RULE:
        name = node.values.get("header_name")
    elif node.model == ASSIGNMENT and node.values.get("target_scope") == "header":
        name = node.values.get("target_expression")
    if not name or node.values.get("source_kind", "literal") != "literal":
        return frozenset()
    return frozenset({"literal_value"} if is_sensitive(name) else ())


def secrets_of(endpoint):
    """Which secrets an endpoint has: set or not set, never their value."""
    endpoint = endpoint.sudo()
    return {
        column: "set" if endpoint[column] else "not set"
        for column in sorted(INPUTS.values())
    }


def actions_of(endpoints):
    """The server actions that queue deliveries of these endpoints, sorted."""
    actions = (
        endpoints.env[ACTION]
        .sudo()
        .search(
            [
                ("state", "=", ACTION_STATE),
                ("bwt_webhook_endpoint_id", "in", endpoints.ids),
            ]
        )
    )
    return actions.with_context(lang="en_US").sorted(
        lambda each: (each.model_id.model, each.name, each.id)
    )


def configured(env, company):
    """Endpoints and handlers of a company that are in use, sorted by code."""
    own = [("company_id", "=", company.id)]
    endpoints = env[ENDPOINT].search([*own, ("state", "!=", "archived")])
    handlers = env[HANDLER].search(own) | endpoints.handler_id
    return endpoints.sorted("code"), handlers.sorted("code")


def document_of(endpoints, handlers, actions, defaults=None, *, is_all):
    """The document, as a dict.

    :param actions: None if the user may not read server actions
    :param defaults: of new endpoints; None if they are not exported
    :param is_all: it has all of a company, so that what is missing in it can be shown
    """
    found = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "scope": "company" if is_all else "selection",
        "handlers": [node_of(each).as_json() for each in handlers],
        "endpoints": [
            node_of(each).as_json() | {"secrets": secrets_of(each)}
            for each in endpoints
        ],
    }
    if actions is not None:
        found["server_actions"] = [node_of(each).as_json() for each in actions]
    if defaults is not None:
        found["settings"] = dict(sorted(defaults.items()))
    return found


def check_rights(env, company):
    """Only administrators of webhooks, in one of their companies."""
    if env.su:
        return
    if not env.user.has_group(GROUP_ADMIN):
        raise AccessError(
            env._(
                "Only webhooks administrators may export and import the "
                "configuration. Ask one of them, or ask for that role."
            )
        )
    if company not in env.user.company_ids:
        raise AccessError(
            env._(
                "Company %s is not one of yours. Choose one of your companies.",
                company.sudo().name,
            )
        )


def export_text(endpoints, company=None):
    """The document as text: of these endpoints with what they use, or of a company.

    :param endpoints: an empty recordset for all that a company has
    :raise WebhookValidationError: endpoints of several companies
    """
    env, is_all = endpoints.env, not endpoints
    company = company or (env.company if is_all else endpoints[:1].company_id)
    check_rights(env, company)
    if is_all:
        own = env(context=dict(env.context, allowed_company_ids=company.ids))
        endpoints, handlers = configured(own, company)
    else:
        endpoints.check_access("read")
        other = endpoints.filtered(lambda each: each.company_id != company)
        if other:
            raise refused(
                other[0],
                env._(
                    "it belongs to another company than %s. Export the endpoints of "
                    "one company at a time.",
                    company.sudo().name,
                ),
            )
        endpoints, handlers = endpoints.sorted("code"), endpoints.handler_id
    is_system = env.is_system()
    found = document_of(
        endpoints,
        handlers.sorted("code"),
        actions_of(endpoints) if is_system else None,
        env["res.config.settings"]._defaults() if is_system and is_all else None,
        is_all=is_all,
    )
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
