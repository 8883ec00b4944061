# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Where requests may be sent, and through which proxy: settings of administrators.

Allowed internal networks and hosts are set in two places: ``allowed_networks`` in
section ``[bwt_webhooks_outbound]`` of odoo.conf, and the system parameter
``bwt_webhooks_outbound.allowed_networks``. The proxy, if any, is set in the parameter
``bwt_webhooks_outbound.proxy`` as ``http://user:password@host:port``; it gets only
checked addresses. Settings administrators edit both parameters in Settings > Webhooks.
"""

import configparser
import os
from functools import lru_cache

from odoo.tools import config

from ..services.egress.policy import Policy
from ..services.http.proxy import Proxy

SECTION = "bwt_webhooks_outbound"
OPTION = "allowed_networks"
PARAMETER = f"{SECTION}.{OPTION}"
PROXY_PARAMETER = f"{SECTION}.proxy"


def egress_policy(env) -> Policy:
    """The policy in force; raises ConfigurationError for an invalid text."""
    return _parsed(
        ", ".join(filter(None, [networks_of_odoo_conf(), _parameter(env, PARAMETER)]))
    )


def egress_proxy(env) -> Proxy | None:
    """The proxy to go through; raises ConfigurationError for an invalid text."""
    return Proxy.parse(_parameter(env, PROXY_PARAMETER))


def _parameter(env, key) -> str:
    """The current value of a system parameter in the database.

    Odoo's own reader is cached per process. A process that runs a lane doesn't notice a
    change by another one, and a change by `odoo shell` or SQL invalidates no cache.
    """
    env["ir.config_parameter"].flush_model(["key", "value"])
    env.cr.execute("SELECT value FROM ir_config_parameter WHERE key = %s", (key,))
    row = env.cr.fetchone()
    return (row and row[0]) or ""


@lru_cache(maxsize=16)
def _parsed(text) -> Policy:
    return Policy.parse(text)


def networks_of_odoo_conf() -> str:
    """What odoo.conf allows, as text; empty without such an option."""
    # Odoo ignores sections of addons: the file is read here, again when it changes.
    path = config["config"]
    try:
        return _section(path, os.stat(path).st_mtime_ns)
    except (OSError, TypeError):
        return ""


@lru_cache(maxsize=4)
def _section(path, _changed) -> str:
    parser = configparser.RawConfigParser()
    parser.read([path])
    return parser.get(SECTION, OPTION, fallback="")
