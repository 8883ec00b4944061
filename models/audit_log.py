# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Secrets in the log of OCA's addon `auditlog`, which need not be installed.

Its rules log stored fields, which they read as superuser, or the values that a save was
called with: there a secret that an administrator enters is in clear text.
"""

from ..services.masking import MASK
from .const import ENDPOINT
from .endpoint_secrets import COLUMNS, INPUTS, TOKEN
from .res_config_settings import PROXY_PARAMETER

AUDIT_LINE = "auditlog.log.line"
PARAMETER = "ir.config_parameter"
VALUES = ("old_value", "old_value_text", "new_value", "new_value_text")
SECRETS = {
    ENDPOINT: (*COLUMNS, *INPUTS),
    TOKEN: ("value",),
    "res.config.settings": ("bwt_webhook_proxy",),
}


def masked_lines(env, vals_list):
    """Values of new lines of the log, with *** for a secret."""
    ids = {
        model: env["ir.model.fields"]._get_ids(model) for model in (*SECRETS, PARAMETER)
    }
    # A field is missing while this addon is updated.
    secret = {
        ids[model].get(name) for model, names in SECRETS.items() for name in names
    }
    parameter = ids[PARAMETER]["value"]
    return [
        _masked(vals)
        if (field_id := vals.get("field_id")) in secret
        or (field_id == parameter and _is_proxy(env, vals))
        else vals
        for vals in vals_list
    ]


def _is_proxy(env, vals):
    """Whether a line about a system parameter is about the proxy with its password."""
    log = env["auditlog.log"].browse(vals.get("log_id"))
    parameter = env[PARAMETER].sudo().browse(log.res_id)
    return parameter.exists().key == PROXY_PARAMETER


def _masked(vals):
    return vals | {name: MASK for name in VALUES if vals.get(name)}
