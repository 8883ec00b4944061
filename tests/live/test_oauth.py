# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""OAuth2 under real lanes: one token for all, got outside of what is locked."""

import time

import pytest
from token_server import TokenServer

from receiver import delay, echo, hold, status

pytestmark = pytest.mark.usefixtures("house_server")

SECRET = "l1ve-cl1ent-s3cret"
TRACES = (
    "bwt_webhook_outbound_delivery",
    "bwt_webhook_outbound_delivery_attempt",
    "queue_job",
    "mail_message",
    "mail_tracking_value",
    "ir_logging",
)


@pytest.fixture
def tokens(receiver):
    server = TokenServer("shop", SECRET)
    receiver.script("/token", server.response)
    receiver.script("/", server.guard)
    return server


def guarded(house, receiver, code, **values):
    house.endpoint(
        code,
        receiver.url,
        auth_mode="oauth2",
        oauth_token_url=f"{receiver.url}/token",
        oauth_client_id="shop",
        auth_secret_input=SECRET,
        **values,
    )


def quote_authorization(exchange):
    status(200, exchange.request.header("Authorization").encode())(exchange)


def test_one_token_for_many_lanes_and_threads(house, receiver, tokens, code):
    """Four lanes that start together request one token from a slow token server."""
    tokens.delay = 1.0
    guarded(house, receiver, code, parallel_lanes=4, max_in_flight=8)

    for first in range(0, 400, 100):
        house.queue(code, 100, first=first)

    house.wait_for_states(code, done=400)
    assert 1 == tokens.request_count
    assert 1 == len(tokens.issued)


def test_a_token_that_ends_is_renewed_before_it_does(house, receiver, tokens, code):
    """No request is sent with a dead token, however often they end."""
    tokens.lifetime = 3
    guarded(house, receiver, code)

    end = time.monotonic() + 8
    queued = 0
    while time.monotonic() < end:
        house.queue(code, 5, first=queued)
        queued += 5
        house.wait_for_states(code, done=queued)

    assert 2 <= tokens.request_count <= 8
    assert {200} == {each["response_status_code"] for each in house.attempts(code)}


def test_a_revoked_token_costs_one_attempt(house, receiver, tokens, code):
    """After a 401 each delivery goes once more with the one new token, and is done."""
    guarded(house, receiver, code, retry_schedule="")
    house.queue(code)
    house.wait_for_states(code, done=1)

    tokens.issued.clear()
    house.queue(code, 20, first=1)

    house.wait_for_states(code, done=21)
    assert 2 == tokens.request_count
    tried = [each["attempt_count"] for each in house.deliveries(code)]
    assert 2 == max(tried)
    assert {0} == {each["retry_number"] for each in house.deliveries(code)}


def test_what_was_refused_waits_for_the_new_token(house, receiver, tokens, code):
    """While a response is outstanding, the lane sends nothing more with the old token.

    It continued with what it had read: refused twice by the same token, deliveries
    became dead letters.
    """
    guarded(house, receiver, code, retry_schedule="")
    house.queue(code)
    house.wait_for_states(code, done=1)

    # The lane checks for more while this one is in flight.
    receiver.script("/", delay(0.4, tokens.guard), tokens.guard)
    tokens.issued.clear()
    house.queue(code, 10, first=1)

    house.wait_for_end(code)
    assert {"done": 11} == house.states(code)
    assert 2 == tokens.request_count


def test_the_previous_access_token_is_masked_too(house, receiver, tokens, code):
    """A response that comes after the renewal and quotes the old token is masked.

    The old one is good for half a minute more when it was renewed before its end.
    """
    guarded(house, receiver, code)
    receiver.script("/", hold(quote_authorization), tokens.guard)
    house.queue(code)
    receiver.wait_for_requests(1, path="/")
    [old] = tokens.issued

    tokens.issued.clear()
    house.queue(code, 2, first=1)
    house.wait_for_states(code, processing=1, done=2)
    receiver.release()

    house.wait_for_states(code, done=3)
    assert "Bearer" in house.deliveries(code)[0]["response_body"]
    for table in TRACES:
        assert [] == house.rows(f"SELECT 1 FROM {table} t WHERE t::text LIKE '%{old}%'")


def test_a_token_server_that_is_down_costs_nothing(house, receiver, tokens, code):
    """Deliveries keep their places, spend no attempt, and go when it is back."""
    receiver.script("/token", status(503))
    guarded(house, receiver, code)

    house.queue(code, 10)

    receiver.wait_for_requests(1, path="/token")
    assert {"queued": 10} == house.states(code)
    assert [] == house.attempts(code)
    receiver.script("/token", tokens.response)
    house.wait_for_states(code, done=10)
    assert len(receiver.requests_to("/token")) <= 4


def test_a_token_server_that_refuses_stops_with_its_message(
    house, receiver, tokens, code
):
    """A wrong secret needs attention: deliveries are in error and say why."""
    tokens.client.secret = "another"
    guarded(house, receiver, code)

    house.queue(code, 10)

    house.wait_for_states(code, error=10)
    for delivery in house.deliveries(code):
        assert "invalid_client" in delivery["processing_error"]
        assert delivery["next_attempt_at"] is None
    assert 1 == tokens.request_count
    assert [] == receiver.requests_to("/")


def test_no_secret_in_log_or_rows(house, house_server, receiver, tokens, code):
    """After a run with a refused token neither log nor trace holds a secret."""
    receiver.script("/", echo())
    guarded(house, receiver, code, signing_mode="standard")
    shown = house.caller.run(
        "result = endpoint(code)._generate_secret(0); env.cr.commit()", code=code
    )

    house.queue(code, 5)

    house.wait_for_states(code, done=5)
    assert len(receiver.requests_to("/")[0].header("webhook-signature")) > 40
    log = house_server.log()
    for secret in (SECRET, shown, *tokens.issued):
        assert secret not in log
        for table in TRACES:
            assert [] == house.rows(
                f"SELECT 1 FROM {table} t WHERE t::text LIKE '%{secret}%'"
            )
