# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: OAuth2 client credentials, with one access token
for all lanes."""

import hashlib
import json
import time
from contextlib import contextmanager
from dataclasses import astuple
from typing import NamedTuple

from odoo import SUPERUSER_ID, api, fields, models
from odoo.tools import SQL

from ..lane.slot import read_committed
from ..services.egress.policy import check_url
from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.http.client import Sender
from ..services.masking import mask_text
from ..services.oauth import ClientCredentials, TokenRefused, fetch_token
from ..services.secrets import SecretUnavailable
from .const import GROUP_OPERATOR
from .endpoint_secrets import token_stored, token_to_store
from .errors import translate
from .fields import SecretChar
from .res_config_settings import egress_policy, egress_proxy

TOKEN = "bwt.webhook.outbound.endpoint.token"
TIMEOUT = 10.0  # seconds for a response of the token server
# Seconds until the next request after a failure of the token server.
PAUSES = (5.0, 15.0, 60.0, 300.0)


class TokenAwaited(ServiceError):
    """There is no access token now; it is requested again at `at` (epoch)."""

    def __init__(self, template, /, *, at, **values):
        super().__init__(template, **values)
        self.at = at


class BwtWebhookOutboundEndpointOauth(models.AbstractModel):
    """The settings of the token server, and the current access token."""

    _name = "bwt.webhook.outbound.endpoint.oauth"
    _description = "Outbound Webhook Endpoint: OAuth2"

    oauth_token_url = fields.Char(
        string="Token URL",
        groups=GROUP_OPERATOR,
        help="URL that issues tokens, such as https://login.example.com/oauth/token.",
    )
    oauth_client_id = fields.Char(string="Client ID", groups=GROUP_OPERATOR)
    oauth_scope = fields.Char(
        string="Scope",
        groups=GROUP_OPERATOR,
        help="Scopes separated by spaces. Sent if not empty.",
    )
    oauth_audience = fields.Char(
        string="Audience",
        groups=GROUP_OPERATOR,
        help="Required by some servers. Sent if not empty.",
    )
    oauth_resource = fields.Char(
        string="Resource",
        groups=GROUP_OPERATOR,
        help="URI of the API that the token is for (RFC 8707), several separated by "
        "spaces. Required by some servers. Sent if not empty.",
    )
    oauth_in_body = fields.Boolean(
        string="Client Secret in Body",
        groups=GROUP_OPERATOR,
        help="For token servers that don't accept the client's ID and secret as "
        "HTTP Basic authentication.",
    )
    oauth_problem = fields.Text(
        string="Token Problem",
        compute="_compute_oauth_problem",
        groups=GROUP_OPERATOR,
        help="Why no access token is available. Empty when there is no problem.",
    )

    @api.depends("auth_mode")
    @api.depends_context("lang")
    def _compute_oauth_problem(self):
        tokens = self.env[TOKEN].sudo()
        for endpoint in self:
            # In a form the record has a NewId, and no row until it is saved.
            stored = endpoint._origin.id
            row = endpoint.auth_mode == "oauth2" and stored and tokens._row(stored)
            endpoint.oauth_problem = row and row.problem

    def _client_credentials(self) -> ClientCredentials:
        """The settings as one value; raises ConfigurationError if one is missing."""
        secret = self._read_secret("auth_secret")
        if not (self.oauth_token_url and self.oauth_client_id and secret):
            raise ConfigurationError(
                _lt(
                    "OAuth2 needs the token URL, the client ID and the client secret. "
                    "Enter them on the endpoint."
                )
            )
        check_url(self.oauth_token_url)
        return ClientCredentials(
            self.oauth_token_url,
            self.oauth_client_id,
            secret,
            scope=self.oauth_scope or "",
            audience=(self.oauth_audience or "").strip(),
            resource=(self.oauth_resource or "").strip(),
            in_body=self.oauth_in_body,
        )

    def _oauth_token(self) -> str:
        """A valid access token, requested if there is none.

        In a transaction of its own, so never while deliveries are locked: the first
        lane requests it, others wait for the row and find its token.
        :raise TokenAwaited: it will be requested again later
        :raise ServiceError: the settings must be corrected
        """
        credentials = self._client_credentials()
        fingerprint = _fingerprint(credentials)
        tokens = self.env[TOKEN].sudo()
        row = tokens._row(self.id)
        if not _is_sufficient(row, fingerprint):
            with tokens._own_transaction(self.id) as tokens:
                row = tokens._row(self.id)
                if not _is_sufficient(row, fingerprint):
                    self._ask_for_token(tokens, row, credentials, fingerprint)
                    row = tokens._row(self.id)
        if not row.problem:
            return row.value
        problem = {"problem": row.problem}
        if row.may_recover:
            raise TokenAwaited("%(problem)s", at=row.ask_again_at, **problem)
        raise ConfigurationError("%(problem)s", **problem)

    def _ask_for_token(self, tokens, row, credentials, fingerprint):
        now = time.time()
        try:
            sender = Sender(
                egress_policy(self.env),
                client_certificate=self._usable_certificate(),
                proxy=egress_proxy(self.env),
            )
            try:
                token = fetch_token(sender, credentials, timeout=TIMEOUT, now=now)
            finally:
                sender.close()
        except ServiceError as error:
            text = translate(self.env, error)
            problem = mask_text(text, (credentials.client_secret,))
            failures = row.failures + 1 if row.fingerprint == fingerprint else 1
            pause = PAUSES[min(failures, len(PAUSES)) - 1]
            tokens._keep(
                self.id,
                fingerprint=fingerprint,
                value=None,
                renew_at=0.0,
                problem=problem,
                may_recover=isinstance(error, TokenRefused) and error.may_recover,
                failures=failures,
                ask_again_at=time.time() + pause,
            )
            if failures == 1:
                self.with_env(tokens.env)._notify_of_trouble(problem)
        else:
            tokens._keep(
                self.id,
                fingerprint=fingerprint,
                value=token.value,
                renew_at=token.renew_at,
                problem=None,
                may_recover=False,
                failures=0,
                ask_again_at=0.0,
            )

    def _notify_of_trouble(self, problem):
        """Report a problem once, on the endpoint and to the responsible user."""
        self.message_post(body=problem)
        if self.responsible_id:
            self.activity_schedule(
                "mail.mail_activity_data_todo",
                summary=self.env._("No OAuth2 token"),
                note=problem,
                user_id=self.responsible_id.id,
            )

    def _renews_token(self, encoded, delivery_id) -> bool:
        """After a 401: whether to retry the delivery once with a new access token.

        Not if the response to its previous attempt was a 401, too: then the token isn't
        the cause. Drops the token that was sent, unless it was replaced already.
        :param encoded: the `EncodedRequest` with the response 401
        """
        sent = {name.lower(): value for name, value in encoded.headers}
        sent = sent.get("authorization", "").removeprefix("Bearer ")
        self.env.cr.execute(
            SQL(
                "SELECT response_status_code "
                "FROM bwt_webhook_outbound_delivery_attempt "
                "WHERE delivery_id = %s AND state <> 'processing' "
                "ORDER BY attempt_number DESC LIMIT 1",
                delivery_id,
            )
        )
        if self.env.cr.fetchone() == (401,):
            return False
        with self.env[TOKEN].sudo()._own_transaction(self.id) as tokens:
            if tokens._row(self.id).value == sent:
                tokens._keep(self.id, renew_at=0.0)
        return True

    def _is_token_replaced(self, credential) -> bool:
        """Whether the access token of a snapshot was dropped or replaced since.

        After a 401 the token is dropped, in a transaction of its own, before its
        delivery is due again. So a lane that checks after locking the delivery never
        sends it with the same token.
        :param credential: of the snapshot, None without a token
        """
        if credential is None:
            return False
        row = self.env[TOKEN].sudo()._row(self.id)
        return not row.renew_at or credential.value != f"Bearer {row.value}"


def _fingerprint(credentials):
    text = json.dumps(astuple(credentials))
    return hashlib.sha256(text.encode()).hexdigest()


def _is_sufficient(row, fingerprint):
    """Whether the row is sufficient, without a request to the server."""
    now = time.time()
    if row is None or row.fingerprint != fingerprint:
        return False
    return now < (row.ask_again_at if row.problem else row.renew_at)


# Longer than a request to a token server may take: a lane that waits finds its token.
LOCK_TIMEOUT = "20s"


class TokenRow(NamedTuple):
    """An access token, or why there is none; times are seconds since the epoch."""

    fingerprint: str  # of the settings of its request
    value: str
    renew_at: float
    problem: str
    may_recover: bool
    failures: int  # consecutive
    ask_again_at: float


class BwtWebhookOutboundEndpointToken(models.Model):
    """Access tokens, read and written only here, by SQL.

    The log shows no failed statement, and no group has access, so that tokens can't be
    read in another way.
    """

    _name = "bwt.webhook.outbound.endpoint.token"
    _description = "Outbound Webhook Endpoint Token"
    _log_access = False

    endpoint_id = fields.Many2one(
        comodel_name="bwt.webhook.outbound.endpoint",
        required=True,
        ondelete="cascade",
    )
    fingerprint = fields.Char(groups=fields.NO_ACCESS)
    value = SecretChar(groups=fields.NO_ACCESS)
    renew_at = fields.Float(digits=False, groups=fields.NO_ACCESS)
    problem = fields.Text(groups=fields.NO_ACCESS)
    may_recover = fields.Boolean(groups=fields.NO_ACCESS)
    failures = fields.Integer(groups=fields.NO_ACCESS)
    ask_again_at = fields.Float(
        string="Next Request At", digits=False, groups=fields.NO_ACCESS
    )

    _endpoint_unique = models.UniqueIndex("(endpoint_id)")

    @contextmanager
    def _own_transaction(self, endpoint_id):
        """This model on a cursor of its own with the row locked; commits at the end.

        On the caller's cursor for an endpoint that isn't committed yet, which no other
        transaction can see.
        """
        with self.env.registry.cursor() as cr:
            # In REPEATABLE READ a wait for the row would end with an error instead of
            # the token that was received meanwhile.
            read_committed(cr)
            tokens = self.with_env(api.Environment(cr, SUPERUSER_ID, {}))
            cr.execute(SQL("SELECT set_config('lock_timeout', %s, true)", LOCK_TIMEOUT))
            if tokens._row(endpoint_id, lock=True):
                yield tokens
                return
        yield self

    def _row(self, endpoint_id, *, lock=False) -> TokenRow | None:
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "SELECT %s FROM bwt_webhook_outbound_endpoint_token "
                "WHERE endpoint_id = %s %s",
                SQL(", ".join(TokenRow._fields)),
                endpoint_id,
                SQL("FOR NO KEY UPDATE") if lock else SQL(),
            )
        )
        row = self.env.cr.fetchone()
        if not row:
            return row
        row = TokenRow(*row)
        try:
            return row._replace(value=token_stored(row.value))
        except SecretUnavailable:  # its key is gone: another one is requested
            return row._replace(value=None, fingerprint=None, renew_at=0.0)

    def _keep(self, endpoint_id, **values):
        """Write a row's columns; the access token encrypted, if there is a key."""
        if values.get("value"):
            values["value"] = token_to_store(values["value"])
        self.env.cr.execute(
            SQL(
                "UPDATE bwt_webhook_outbound_endpoint_token SET %s "
                "WHERE endpoint_id = %s",
                SQL(", ").join(
                    SQL("%s = %s", SQL.identifier(name), value)
                    for name, value in values.items()
                ),
                endpoint_id,
            ),
            log_exceptions=False,
        )

    def _forget(self, endpoint_id):
        """Delete the access token and the state of its server."""
        self.env.flush_all()
        self._keep(
            endpoint_id,
            fingerprint=None,
            value=None,
            renew_at=0.0,
            problem=None,
            may_recover=False,
            failures=0,
            ask_again_at=0.0,
        )
