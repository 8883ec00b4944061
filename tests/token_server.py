# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""An OAuth2 server under test: Authlib's protocol over the receiver's sockets.

tokens = TokenServer("shop", "s3cret")
receiver.script("/token", tokens.response)     # returns tokens
receiver.script("/orders", tokens.guard)     # 200 with a token in force, else 401
"""

import json
import secrets
import time
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator


class Client(ClientMixin):
    """The one client that is registered."""

    def __init__(self, client_id, secret):
        self.client_id = client_id
        self.secret = secret

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return scope or "orders"

    def check_client_secret(self, client_secret):
        return client_secret == self.secret

    def check_endpoint_auth_method(self, method, endpoint):
        return method in ("client_secret_basic", "client_secret_post")

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"


class Grant(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


class TokenServer(AuthorizationServer):
    """Returns bearer tokens that live `lifetime` seconds, and checks them.

    issued: token -> when it ends (epoch); forget one to revoke it
    request_count: number of token requests
    """

    def __init__(self, client_id, secret, lifetime=3600, delay=0.0):
        super().__init__(scopes_supported=["orders"])
        self.client = Client(client_id, secret)
        self.lifetime = lifetime
        self.delay = delay
        self.issued = {}
        self.request_count = 0
        self.register_grant(Grant)
        self.register_token_generator(
            "default",
            BearerTokenGenerator(
                lambda **_given: secrets.token_urlsafe(32),
                expires_generator=lambda *_given: self.lifetime,
            ),
        )

    def response(self, exchange):
        """The token endpoint, as a response of the receiver."""
        self.request_count += 1
        time.sleep(self.delay)
        self.create_token_response(exchange)

    def guard(self, exchange):
        """A protected resource, as a response of the receiver."""
        given = exchange.request.header("Authorization") or ""
        token = given.removeprefix("Bearer ")
        in_force = self.issued.get(token, 0) > time.time()
        _respond(exchange, 200 if in_force else 401, {})

    # What Authlib requires of a server

    def query_client(self, client_id):
        return self.client if client_id == self.client.client_id else None

    def save_token(self, token, request):
        self.issued[token["access_token"]] = time.time() + token["expires_in"]

    def send_signal(self, name, *args, **kwargs):
        """No signals."""

    def create_oauth2_request(self, exchange):
        self._exchange = exchange
        request = OAuth2Request(
            exchange.request.method,
            f"https://tokens.test{exchange.request.path}",
            headers=dict(exchange.request.headers),
        )
        form = dict(parse_qsl(exchange.request.body.decode()))
        request.payload = BasicOAuth2Payload(form)
        request._body = form
        return request

    def handle_response(self, status_code, body, headers):
        _respond(self._exchange, status_code, body)


def _respond(exchange, status, said):
    body = json.dumps(said).encode()
    head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n"
    exchange.send(head.encode() + body)
