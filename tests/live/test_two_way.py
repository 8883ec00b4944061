# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A receiver that writes each record back over Odoo's API, which sends it again."""

import json
import threading
import urllib.request

import pytest
from stage import wait_until

from receiver import ACCEPTED

WRITES_MAX = 5  # of a receiver whose writes no guard stops
# Runs inside `odoo shell`: a user with an API key, a contact, and a rule about it.
SET_UP = """
user = env['res.users'].with_context(no_reset_password=True).create({
    'name': code, 'login': code, 'group_ids': [(4, env.ref(name).id) for name in (
        'base.group_user', 'base.group_partner_manager')],
})
key = env['res.users.apikeys'].with_user(user).sudo()._generate(None, code, None)
partner = env['res.partner'].create({'name': 'Ada', 'ref': code})
env.flush_all()  # or the rule would run for what is computed later
model = env['ir.model']._get('res.partner')
rule = env['base.automation'].create({
    'name': code, 'model_id': model.id, 'trigger': 'on_create_or_write',
    'filter_domain': repr([('id', '=', partner.id)]),
})
if skips_user:
    values['bwt_webhook_skip_user_ids'] = [(4, user.id)]
action = env['ir.actions.server'].create({
    'name': code, 'model_id': model.id, 'state': 'bwt_webhook_outbound',
    'usage': 'base_automation', 'base_automation_id': rule.id,
    'bwt_webhook_endpoint_id': endpoint(code).id,
    'bwt_webhook_field_ids': [(0, 0, {'usage': 'field', 'source_expression': 'name'})],
    **values,
})
result = [key, partner.id, rule.id]
env.flush_all()
env.cr.commit()
env.registry.signal_changes()
"""
REMOVE = """
env['base.automation'].browse(rule).action_archive()
env.cr.commit()
env.registry.signal_changes()
"""


class WritesBack:
    """A response that then writes the record to Odoo, up to `WRITES_MAX` times.

    done: how many writes Odoo has accepted
    """

    def __init__(self, server, database):
        self.server, self.database = server, database
        self.key = self.partner_id = None
        self.done = 0
        self._lock = threading.Lock()

    def __call__(self, exchange):
        exchange.send(ACCEPTED)
        with self._lock:
            if self.done < WRITES_MAX:
                name = exchange.request.json()["name"]
                self.write({"name": name, "comment": f"number {self.done}"})
                self.done += 1

    def write(self, values):
        """`write` of the contact over HTTP, as the integration's user."""
        body = {"ids": [self.partner_id], "vals": values}
        request = urllib.request.Request(
            f"{self.server.url}/json/2/res.partner/write",
            data=json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"bearer {self.key}",
                "X-Odoo-Database": self.database,
            },
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            assert 200 == response.status


@pytest.fixture
def loop(house, house_server, receiver, code):
    """Start the loop with these values of the server action; returns the receiver."""
    rules = []

    def start(*, skips_user=False, **values):
        back = WritesBack(house_server, house.database)
        receiver.script("/contacts", back)
        house.endpoint(code, receiver.url, "/contacts")
        back.key, back.partner_id, rule = house.caller.run(
            SET_UP, code=code, skips_user=skips_user, values=values
        )
        rules.append(rule)
        house.caller.run(
            "env['res.partner'].browse(partner).write({'name': 'Eve'})",
            partner=back.partner_id,
        )
        return back

    yield start
    for rule in rules:
        house.caller.run(REMOVE, rule=rule)


def arrived(receiver):
    return [each.json()["name"] for each in receiver.requests_to("/contacts")]


def test_equal_requests_end_the_loop(house, receiver, code, loop):
    """Skip if Nothing Changed: the record that came back is not sent again."""
    back = loop(bwt_webhook_skip_if_unchanged=True)

    wait_until(lambda: house.states(code) == {"done": 1, "canceled": 1})
    house.wait_for_idle(code)

    assert ["Eve"] == arrived(receiver)
    assert 1 == back.done
    assert {"done": 1, "canceled": 1} == house.states(code)
    back.write({"name": "Zoe"})  # a change of its own is sent
    wait_until(lambda: arrived(receiver) == ["Eve", "Zoe"])


def test_changes_of_the_integration_end_the_loop(house, receiver, code, loop):
    """Skip Changes Made By: what the integration's user writes queues nothing."""
    back = loop(skips_user=True)

    wait_until(lambda: back.done)
    house.wait_for_idle(code)

    assert ["Eve"] == arrived(receiver)
    assert {"done": 1} == house.states(code)


def test_the_loop_without_a_guard(house, receiver, code, loop):
    """Every write is sent again, until the receiver stops: what the guards are for."""
    back = loop()

    wait_until(lambda: back.done == WRITES_MAX)
    wait_until(lambda: house.states(code) == {"done": 1 + WRITES_MAX})

    assert ["Eve"] * (1 + WRITES_MAX) == arrived(receiver)
