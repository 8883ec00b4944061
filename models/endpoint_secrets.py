# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The secrets of an endpoint: their columns, their inputs, and the host they belong to.

A secret can be written but not read. It was entered for one origin (scheme, host,
port), so any change of the target deletes it.
"""

from odoo import fields
from odoo.exceptions import UserError

from ..services.egress.target_url import origin_of
from .const import GROUP_ADMIN

# The input of an administrator, and its column, which can't be read by a form, an
# export or RPC, but only by code that runs as superuser.
INPUTS = {
    "auth_secret_input": "auth_secret",
    "signing_secret_input": "signing_secret",
    "client_certificate_input": "client_certificate",
}
# A secret of one kind is never sent as another.
KINDS = {
    "auth_mode": ("auth_secret",),
    "signing_mode": ("signing_secret", "old_secret"),
}
# The secrets of each target. A signature over a body is valid at the previous receiver
# wherever it was sent: a new host could forward it. A client certificate identifies us
# to any server. The token server's access token is sent to the endpoint's host. Secrets
# that the token server never gets are kept when only its URL changes.
BOUND_TO = {
    "requests": ("auth_secret", "signing_secret", "old_secret", "client_certificate"),
    "tokens": ("auth_secret", "client_certificate"),
}


def secret_column(kind, label):
    """A stored secret: in no view, copy, export, search, group or read."""
    return kind(
        string=label,
        groups=fields.NO_ACCESS,
        copy=False,
        exportable=False,
        prefetch="secrets",  # read together, and only on demand
    )


def secret_input(kind, **options):
    """An input: always shown empty; left empty it changes nothing."""
    return kind(
        compute="_compute_secret_inputs",
        readonly=False,
        copy=False,
        exportable=False,
        groups=GROUP_ADMIN,
        **options,
    )


def secrets_of_other_kind(endpoint, vals):
    """Columns of secrets that a change of mode in `vals` deletes, as values."""
    return {
        column: False
        for field, columns in KINDS.items()
        if field in vals and vals[field] != endpoint[field]
        for column in columns
    }


def origins_of(endpoint):
    """The origins of the endpoint's target and of its token server.

    :param endpoint: with sudo
    """
    try:
        host = endpoint._get_outbound_target_hostname()
    except UserError:  # its backend's addon isn't installed
        host = endpoint.target_hostname
    is_oauth = endpoint.auth_mode == "oauth2"
    return {
        "requests": origin_of(host),
        "tokens": origin_of(is_oauth and endpoint.oauth_token_url),
    }


def changed_targets(endpoint, before):
    """Which targets have another origin now; a first origin is not a change.

    :param endpoint: with sudo
    :param before: what `origins_of` returned before the change
    """
    now = origins_of(endpoint)
    return [name for name, was in before.items() if was not in ("", now[name])]


def columns_bound_to(targets):
    """Columns of the secrets that were entered for these targets."""
    return {column for target in targets for column in BOUND_TO[target]}


def removed_text(env, columns):
    """A message for users: these secrets were removed with their host."""
    labels = {
        "auth_secret": env._("Secret"),
        "signing_secret": env._("Signing Secret"),
        "client_certificate": env._("Client Certificate"),
    }
    return env._(
        "The target host has changed, so the secrets of the previous host were "
        "removed: %s. Enter them again for the new host.",
        ", ".join(label for name, label in labels.items() if name in columns),
    )


def notify_removed(endpoint, columns):
    """Notify the endpoint's followers and the user which secrets were removed."""
    text = removed_text(endpoint.env, columns)
    endpoint.message_post(body=text)
    endpoint.env.user._bus_send(
        "simple_notification",
        {
            "type": "warning",
            "title": endpoint.env._("Secrets removed: endpoint %s", endpoint.name),
            "message": text,
            "sticky": True,
        },
    )
