# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Settings > Webhooks: allowed networks, proxy, defaults for new endpoints.

Allowed internal networks and hosts are set in two places: ``allowed_networks`` in
section ``[bwt_webhooks_outbound]`` of odoo.conf, and the system parameter
``bwt_webhooks_outbound.allowed_networks``. The proxy, if any, is set in the parameter
``bwt_webhooks_outbound.proxy`` as ``http://user:password@host:port``; it gets only
checked addresses. Settings administrators edit both parameters in Settings > Webhooks.
"""

import configparser
import os
from functools import lru_cache
from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import config

from ..exceptions import WebhookProcessingConfigurationError
from ..services.egress.policy import Policy
from ..services.errors import ServiceError, _lt
from ..services.http.proxy import Proxy
from ..services.retry import RetrySchedule
from ..services.secrets import PREFIXES, REFERENCES, SecretUnavailable, Store
from .const import ENDPOINT
from .endpoint_policy import bounds_message, content_days_message
from .errors import capitalized, translate

SECTION = "bwt_webhooks_outbound"
OPTION = "allowed_networks"
PARAMETER = f"{SECTION}.{OPTION}"
PROXY_PARAMETER = f"{SECTION}.proxy"
SECRET_OPTIONS = ("secret_keys", "secret_env", "secret_folders")


def egress_policy(env, parameters=None) -> Policy:
    """The policy in force; raises ConfigurationError for an invalid text.

    :param parameters: from `egress_parameters`, if they were read
    :raise SecretUnavailable: odoo.conf can't be read now
    """
    stored = (parameters or egress_parameters(env)).get(PARAMETER)
    networks = _options_of_odoo_conf().get(OPTION)
    return _parsed(", ".join(filter(None, [networks, stored])))


def egress_proxy(env, parameters=None) -> Proxy | None:
    """The proxy to go through; raises ConfigurationError for an invalid text.

    :param parameters: from `egress_parameters`, if they were read
    :raise SecretUnavailable: it is encrypted or a reference, and can't be read now
    """
    stored = (parameters or egress_parameters(env)).get(PROXY_PARAMETER, "")
    return Proxy.parse(_readable_proxy(stored))


def _readable_proxy(stored):
    if not (stored or "").startswith(PREFIXES):
        return stored or ""
    return secret_store().value(stored, PROXY_PARAMETER)


def encrypt_proxy(env) -> int:
    """Encrypt a stored proxy with a password by the first key; 1 if it was changed."""
    parameters = env["ir.config_parameter"].sudo()
    stored = parameters.get_param(PROXY_PARAMETER) or ""
    store = secret_store()
    try:
        proxy = _readable_proxy(stored)
    except SecretUnavailable:  # the form of each endpoint says so
        return 0
    if not _password(proxy) or store.is_current(stored):
        return 0
    parameters.set_param(PROXY_PARAMETER, store.sealed(proxy, PROXY_PARAMETER))
    return 1


def egress_parameters(env) -> dict[str, str]:
    """The current values of both system parameters in the database, by key.

    Odoo's own reader is cached per process. A process that runs a lane doesn't notice a
    change by another one, and a change by `odoo shell` or SQL invalidates no cache.
    """
    env["ir.config_parameter"].flush_model(["key", "value"])
    env.cr.execute(
        "SELECT key, value FROM ir_config_parameter WHERE key IN %s",
        ((PARAMETER, PROXY_PARAMETER),),
    )
    return {PARAMETER: "", PROXY_PARAMETER: ""} | {
        key: value or "" for key, value in env.cr.fetchall()
    }


@lru_cache(maxsize=16)
def _parsed(text) -> Policy:
    return Policy.parse(text)


def networks_of_odoo_conf() -> str:
    """What odoo.conf allows, as text; empty without such an option."""
    return option_of_odoo_conf(OPTION)


def option_of_odoo_conf(name) -> str:
    """An option of our section in odoo.conf, as text; empty if it isn't there."""
    try:
        return _options_of_odoo_conf().get(name, "")
    except SecretUnavailable:
        return ""


def _options_of_odoo_conf() -> dict:
    """Our section in odoo.conf, empty without a file or a section.

    :raise SecretUnavailable: there is a file that can't be read now, which must not
        be taken for one without keys: secrets would be stored in clear text
    """
    # Odoo ignores sections of addons: the file is read here, again when it changes.
    path = config["config"]
    try:
        return _section(path, os.stat(path).st_mtime_ns)
    except (FileNotFoundError, TypeError):
        return {}
    except (OSError, UnicodeError, configparser.Error) as error:
        # Without the parser's own message, which quotes lines of the file.
        problem = getattr(error, "strerror", None) or type(error).__name__
        raise SecretUnavailable(
            _lt(
                "odoo.conf can't be read: %(problem)s. Correct the file, or let the "
                "server's user read it."
            ),
            problem=problem,
        ) from None


def secret_store() -> Store:
    """How secrets are stored, as odoo.conf says now; raises SecretUnavailable."""
    options = _options_of_odoo_conf()
    return _store(*(options.get(name, "") for name in SECRET_OPTIONS))


@lru_cache(maxsize=4)
def _store(*options) -> Store:
    return Store.parse(*options)


@lru_cache(maxsize=4)
def _section(path, _changed) -> dict:
    parser = configparser.RawConfigParser()
    with open(path, encoding="utf-8") as file:  # `read` skips one that can't be read
        parser.read_file(file)
    return dict(parser[SECTION]) if SECTION in parser else {}


PREFIX = "bwt_webhook_default_"
# Fields of the endpoint whose default can be set.
DEFAULTS = (
    *("retry_schedule", "timeout_seconds"),
    *("retention_days", "failed_retention_days", "content_days"),
)
HIDDEN = "***"  # shown instead of the proxy's password


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    bwt_webhook_allowed_networks = fields.Text(
        string="Allowed Networks and Hosts",
        groups="base.group_system",
        help="Internal networks, addresses and host names that endpoints may send to, "
        "one per line. Stored in the system parameter "
        "bwt_webhooks_outbound.allowed_networks.",
    )
    bwt_webhook_networks_of_odoo_conf = fields.Text(
        string="Allowed in odoo.conf",
        readonly=True,
        groups="base.group_system",
        help="Allowed in addition, by allowed_networks in the section "
        "[bwt_webhooks_outbound] of odoo.conf. Change them there.",
    )
    bwt_webhook_proxy = fields.Char(
        string="Webhook Proxy",
        groups="base.group_system",
        help="Requests are sent through this HTTP proxy, as in "
        "http://user:password@proxy.example:3128. A stored password is shown as ***. "
        "Encrypted if odoo.conf has secret_keys. env:NAME or file:/path refers to one "
        "of the server. "
        "Stored in the system parameter bwt_webhooks_outbound.proxy. Proxies of the "
        "server's environment are not used.",
    )
    bwt_webhook_secret_keys = fields.Char(
        string="Keys of Secrets",
        compute="_compute_bwt_webhook_secret_keys",
        groups="base.group_system",
        help="Which key encrypts secrets, by secret_keys in section "
        "[bwt_webhooks_outbound] of odoo.conf.",
    )
    bwt_webhook_default_retry_schedule = fields.Char(
        string="Default Retry Schedule",
        groups="base.group_system",
        help="One delay per retry, each a number with s, m, h or d. Empty: a failure "
        "is not retried.",
    )
    bwt_webhook_default_retry_description = fields.Char(
        string="Resulting Default Schedule",
        compute="_compute_bwt_webhook_default_retry_description",
        groups="base.group_system",
    )
    bwt_webhook_default_timeout_seconds = fields.Integer(
        string="Default Timeout",
        groups="base.group_system",
        help="Total time for one request, in seconds.",
    )
    bwt_webhook_default_retention_days = fields.Integer(
        string="Default Retention (days)",
        groups="base.group_system",
        help="Done and canceled deliveries are deleted after this many days. 0: never.",
    )

    bwt_webhook_default_failed_retention_days = fields.Integer(
        string="Default Retention of Failures (days)",
        groups="base.group_system",
        help="Dead letters, and errors that need attention, are deleted after this "
        "many days, whether or not anybody has looked at them. 0: never.",
    )
    bwt_webhook_default_content_days = fields.Integer(
        string="Default Content Retention (days)",
        groups="base.group_system",
        help="Payload, headers, bodies and files of ended deliveries are deleted after "
        "this many days. They can't be retried or replayed then. 0: kept as long as "
        "the delivery.",
    )

    @api.depends("bwt_webhook_default_retry_schedule")
    @api.depends_context("lang")
    def _compute_bwt_webhook_default_retry_description(self):
        for settings in self:
            schedule = settings.bwt_webhook_default_retry_schedule
            try:
                said = RetrySchedule.parse(schedule or "").describe()
            except ServiceError as error:
                said = error
            settings.bwt_webhook_default_retry_description = translate(self.env, said)

    @api.depends_context("lang")
    def _compute_bwt_webhook_secret_keys(self):
        try:
            current = secret_store().keys.current
        except ServiceError as error:
            said = capitalized(translate(self.env, error))
        else:
            said = (
                self.env._('New secrets are encrypted with key "%s".', current)
                if current
                else self.env._(
                    "Secrets are stored in clear text. Set secret_keys in odoo.conf to "
                    "encrypt them."
                )
            )
        self.bwt_webhook_secret_keys = said

    def action_bwt_webhook_encrypt(self):
        """Encrypt all secrets with the first key of odoo.conf, and say what was done.

        :raise AccessError: for a user without Settings rights
        """
        if not self.env.is_system():
            raise AccessError(
                self.env._(
                    "Only Settings administrators can encrypt secrets again. Ask one."
                )
            )
        count, unreadable = self.env[ENDPOINT]._reencrypt_secrets()
        text = self.env._("Secrets and access tokens encrypted: %s.", count)
        if unreadable:
            names = self.env[ENDPOINT].sudo().browse(unreadable).mapped("display_name")
            text += " " + self.env._(
                "These endpoints have a secret that no key of odoo.conf reads: %s. "
                "Add its key, or enter the secret again.",
                ", ".join(names),
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning" if unreadable else "success",
                "message": text,
                "sticky": bool(unreadable),
            },
        }

    @api.model
    def get_values(self):
        """The stored values; none of them for a user without Settings rights.

        `default_get` can be called by every user, and the proxy may have a password.
        """
        values = super().get_values()
        if not self.env.is_system():
            return values
        read = self.env["ir.config_parameter"].get_param
        values["bwt_webhook_allowed_networks"] = "\n".join(_lines(read(PARAMETER)))
        values["bwt_webhook_networks_of_odoo_conf"] = "\n".join(
            _lines(networks_of_odoo_conf())
        )
        values["bwt_webhook_proxy"] = _shown_proxy(read(PROXY_PARAMETER))
        values |= {PREFIX + name: value for name, value in self._defaults().items()}
        return values

    def set_values(self):  # pylint: disable=missing-return  # returns nothing
        """Check and store what was changed.

        :raise WebhookProcessingConfigurationError: a value is invalid; the message
            names the setting and, of the networks, the line
        """
        super().set_values()
        if not self.env.is_system():
            return
        before = self.get_values()
        if self.bwt_webhook_allowed_networks != before["bwt_webhook_allowed_networks"]:
            self._set_networks()
        if (self.bwt_webhook_proxy or "") != (before["bwt_webhook_proxy"] or ""):
            self._set_proxy()
            # This record stays in the database for some hours.
            stored = self.env["ir.config_parameter"].get_param(PROXY_PARAMETER)
            self.bwt_webhook_proxy = _shown_proxy(stored)
        self._set_defaults()

    def _set_networks(self):
        given = (self.bwt_webhook_allowed_networks or "").splitlines()
        for number, line in enumerate(given, 1):
            try:
                Policy.parse(line)
            except ServiceError as error:
                where = self.env._(
                    "Allowed Networks and Hosts, line %(number)s", number=number
                )
                raise self._invalid(where, error) from error
        text = "\n".join(line for each in given for line in _lines(each))
        self.env["ir.config_parameter"].set_param(PARAMETER, text)

    def _set_proxy(self):
        parameters = self.env["ir.config_parameter"]
        proxy = (self.bwt_webhook_proxy or "").strip()
        try:
            if HIDDEN in proxy:
                stored = parameters.get_param(PROXY_PARAMETER)
                proxy = _with_password(proxy, _readable_proxy(stored))
            parsed = Proxy.parse(_readable_proxy(proxy))
            if _password(proxy):
                proxy = secret_store().sealed(proxy, PROXY_PARAMETER)
        except ServiceError as error:
            raise self._invalid(self.env._("Proxy"), error) from error
        if parsed and parsed.credentials.endswith(f":{HIDDEN}"):
            raise self._invalid(
                self.env._("Proxy"),
                self.env._(
                    "the stored password belongs to another user, host or port. "
                    "Enter the password instead of ***."
                ),
            )
        parameters.set_param(PROXY_PARAMETER, proxy)

    def _set_defaults(self):
        endpoints = self.env[ENDPOINT]
        days = self[f"{PREFIX}content_days"], self[f"{PREFIX}retention_days"]
        if message := content_days_message(self.env, *days):
            label = self._fields[f"{PREFIX}content_days"]
            raise self._invalid(label._description_string(self.env), message)
        for name, stored in self._defaults().items():
            label = self._fields[PREFIX + name]._description_string(self.env)
            value = self[PREFIX + name]
            if value == stored:
                continue
            message = bounds_message(endpoints, name, value)
            if message:
                raise self._invalid(label, message)
            if name == "retry_schedule":
                try:
                    RetrySchedule.parse(value or "")
                except ServiceError as error:
                    raise self._invalid(label, error) from error
            self.env["ir.default"].set(ENDPOINT, name, value)

    @api.model
    def _defaults(self):
        """The default of each field for all users and companies."""
        endpoints = self.env[ENDPOINT]
        found = {}
        for name in DEFAULTS:
            value = self.env["ir.default"]._get(ENDPOINT, name)
            if value is None:
                value = endpoints._fields[name].default(endpoints)
            found[name] = value
        return found

    def _invalid(self, where, error):
        if isinstance(error, ServiceError):
            error = translate(self.env, error)
        return WebhookProcessingConfigurationError(f"{where}: {capitalized(error)}")


def _lines(text):
    """The entries of a list that is separated by commas or line breaks."""
    parts = (text or "").replace("\n", ",").split(",")
    return [part.strip() for part in parts if part.strip()]


def _shown_proxy(stored):
    """Without its password; a reference, and what can't be read, as it is stored."""
    if (stored or "").startswith(REFERENCES):
        return stored
    try:
        return _without_password(_readable_proxy(stored))
    except SecretUnavailable:
        return stored


def _without_password(proxy):
    password = _password(proxy)
    return proxy.replace(f":{password}@", f":{HIDDEN}@", 1) if password else proxy or ""


def _with_password(proxy, stored):
    """The proxy with the stored password, if it is the stored one without it."""
    return stored if proxy and proxy == _without_password(stored) else proxy


def _password(proxy):
    try:
        return urlsplit(proxy or "").password
    except ValueError:
        return None
