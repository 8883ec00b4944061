# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Where requests may go, and the way out: the administrator's word on both.

Networks and hosts inside that requests may go to all the same stand in two places:
``allowed_networks`` in section ``[bwt_webhooks_outbound]`` of odoo.conf, and the system
parameter ``bwt_webhooks_outbound.allowed_networks``, which only Settings administrators
may write. The proxy, if there is one, stands in the parameter
``bwt_webhooks_outbound.proxy`` as ``http://user:password@host:port``; it gets judged
addresses only.
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
    """The policy in force; raises ConfigurationError where a text can't be read."""
    return _parsed(", ".join(filter(None, [_from_file(), _parameter(env, PARAMETER)])))


def egress_proxy(env) -> Proxy | None:
    """The proxy to go through; raises ConfigurationError where it can't be read."""
    return Proxy.parse(_parameter(env, PROXY_PARAMETER))


def _parameter(env, key) -> str:
    """The value of a system parameter as it is in the database at this moment.

    Odoo's own reader is cached per process. A process that runs a lane doesn't look
    whether another one changed it, and a change by `odoo shell` or SQL tells nobody.
    """
    env["ir.config_parameter"].flush_model(["key", "value"])
    env.cr.execute("SELECT value FROM ir_config_parameter WHERE key = %s", (key,))
    row = env.cr.fetchone()
    return (row and row[0]) or ""


@lru_cache(maxsize=16)
def _parsed(text) -> Policy:
    return Policy.parse(text)


def _from_file() -> str:
    # Odoo keeps no sections of addons: the file is read here, again when it changes.
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
