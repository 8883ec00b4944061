# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Secrets are encrypted with another key, while the process that does it is killed."""

import base64
import contextlib
import threading

from caller import Caller, CallFailed
from stage import stage, wait_until

ENDPOINTS = 300
VALUES = 3 * ENDPOINTS  # two secrets and an access token each
KILLED_AT = (40, 350, 640)  # values with the new key; at the last one of the tokens

PREPARE = """
endpoints = env["bwt.webhook.outbound.endpoint"].create([
    {
        "name": f"{code} {n}",
        "code": f"{code}-{n}",
        "target_hostname": "http://127.0.0.1:9",
        "auth_mode": "bearer",
        "auth_secret_input": f"planted-auth-{n}",
        "signing_mode": "hmac",
        "signing_secret_input": f"planted-signing-secret-{n}",
    }
    for n in range(count)
])
tokens = env["bwt.webhook.outbound.endpoint.token"]
for n, each in enumerate(endpoints):
    tokens._keep(each.id, value=f"planted-token-{n}")
"""
READ = """
tokens = env["bwt.webhook.outbound.endpoint.token"]
result = [
    [
        each._read_secret("auth_secret"),
        each._read_secret("signing_secret"),
        tokens._row(each.id).value,
    ]
    for each in env["bwt.webhook.outbound.endpoint"].search(
        [("code", "=like", f"{code}-%")], order="id"
    )
]
"""
ROTATE = (
    "result = env['bwt.webhook.outbound.endpoint']._reencrypt_secrets(batch_size=1)"
)


def key(number):
    return base64.b64encode(bytes([number]) * 32).decode()


@contextlib.contextmanager
def calling(made, *keys):
    """An Odoo with these keys; killed at the end."""
    with Caller(made.cluster, made.database) as caller:
        # The section of this addon is the last one.
        with open(caller.home / "odoo.conf", "a") as config:
            config.write(f"secret_keys = {', '.join(keys)}\n")
        yield caller


def encrypted_with(made, key_id):
    """How many values are stored with this key."""
    [row] = made.rows(
        f"""SELECT count(*) AS n FROM (
            SELECT unnest(ARRAY[auth_secret, signing_secret]) AS stored
            FROM bwt_webhook_outbound_endpoint
            UNION ALL SELECT value FROM bwt_webhook_outbound_endpoint_token
        ) AS secrets WHERE stored LIKE 'enc:v1:{key_id}:%'"""
    )
    return row["n"]


def test_killed_half_way(cluster, origin, code):
    """Each value has one of both keys, whatever was killed; the next run continues."""
    old, new = f"old:{key(1)}", f"new:{key(2)}"
    expected = [
        [f"planted-auth-{n}", f"planted-signing-secret-{n}", f"planted-token-{n}"]
        for n in range(ENDPOINTS)
    ]
    with stage(cluster, "rotation", origin=origin) as made:
        with calling(made, old) as caller:
            caller.run(PREPARE, code=code, count=ENDPOINTS)
        assert encrypted_with(made, "old") == VALUES

        places = []
        for place in KILLED_AT:
            with calling(made, new, old) as caller:

                def rotate(caller=caller):
                    with contextlib.suppress(CallFailed, OSError):
                        caller.run(ROTATE)

                thread = threading.Thread(target=rotate)
                thread.start()
                wait_until(
                    lambda place=place: encrypted_with(made, "new") >= place,
                    what=f"{place} values with the new key",
                )
                caller.process.kill()
                thread.join()
            places.append(encrypted_with(made, "new"))
            assert places[-1] + encrypted_with(made, "old") == VALUES

        assert places[-1] < VALUES, "nothing was killed half-way"
        with calling(made, new, old) as caller:
            assert caller.run(READ, code=code) == expected  # half-way
            assert caller.run(ROTATE) == [VALUES - places[-1], []]
            assert caller.run(ROTATE) == [0, []]
        with calling(made, new) as caller:
            assert caller.run(READ, code=code) == expected
    print(f"{VALUES} values, killed at {places}")
