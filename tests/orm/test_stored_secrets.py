# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Secrets that are encrypted, or that are in a file or a variable of the server."""

import ast
import base64
import json
import logging
import os
import subprocess
import tempfile
import textwrap
from contextlib import contextmanager
from pathlib import Path

from odoo.exceptions import AccessError, UserError
from odoo.service.model import call_kw
from odoo.tests.common import get_db_name, new_test_user
from odoo.tools import config, mute_logger
from odoo.tools.misc import exec_pg_environ, find_pg_tool

from odoo.addons.bwt_webhooks_outbound.models.res_config_settings import (
    PROXY_PARAMETER,
    egress_proxy,
)

from ..constants import ADMINISTRATOR, ENDPOINT, TOKEN
from .common import CommittedCase
from .test_documented_samples import samples_of

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = {"auth_secret", "signing_secret", "old_secret", "client_certificate"}
AUTH = "pl4nted-auth-secret"
SIGN = "pl4nted-signing-secret"
PLANTED = "pl4nted"
SETTINGS = "res.config.settings"


def key(number):
    return base64.b64encode(bytes([number]) * 32).decode()


class Records(logging.Handler):
    """All that the server logs, at every level."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


class StoredCase(CommittedCase):
    """An endpoint with planted secrets, and an odoo.conf of the test's own."""

    def setUp(self):
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        path = config["config"]
        config["config"] = str(self.folder / "odoo.conf")
        self.addCleanup(config.__setitem__, "config", path)
        self.addCleanup(os.environ.pop, "HOOK_TOKEN", None)
        self.configure()

    def configure(self, **options):
        """Write odoo.conf, with a date of its own: the reader goes by it."""
        lines = [f"{name} = {value}" for name, value in options.items()]
        file = self.folder / "odoo.conf"
        self.clock = getattr(self, "clock", 1) + 1
        file.write_text("\n".join(["[bwt_webhooks_outbound]", *lines]))
        os.utime(file, (self.clock, self.clock))

    def enter(self, auth=AUTH, sign=SIGN):
        self.set_up(
            auth_mode="bearer",
            auth_secret_input=auth,
            signing_mode="hmac",
            signing_secret_input=sign,
        )

    def stored(self):
        with self.transaction() as env:
            env.cr.execute(
                "SELECT auth_secret, signing_secret, old_secret "
                "FROM bwt_webhook_outbound_endpoint WHERE id = %s",
                (self.endpoint_id,),
            )
            return env.cr.fetchone()

    def shown(self, name):
        with self.transaction() as env:
            return self.endpoint(env)[name]

    def sent(self):
        """The credential that arrives with a new delivery; None if nothing does."""
        before = self.receiver.total
        ids = self.queue({"a": 1})
        self.run_lane()
        if self.receiver.total == before:
            [(state, attempts)] = self.committed(ids, "state", "attempt_count")
            self.assertEqual(("queued", 0), (state, attempts))
            return None
        self.assertEqual(["done"], self.states(ids))
        return dict(self.receiver.requests[-1].headers)["Authorization"]

    @contextmanager
    def log(self, with_statements):
        """Lines that are logged within at level debug, or debug_sql."""
        records = Records()
        levels = {
            "": logging.DEBUG,
            "odoo": logging.DEBUG,
            "odoo.sql_db": logging.DEBUG if with_statements else logging.INFO,
        }
        before = {name: logging.getLogger(name).level for name in levels}
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        logging.getLogger().addHandler(records)
        try:
            yield records.lines
        finally:
            logging.getLogger().removeHandler(records)
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)

    def dump(self):
        return subprocess.run(
            [find_pg_tool("pg_dump"), "--data-only", get_db_name()],
            env=exec_pg_environ(),
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def read_by_rpc(self):
        """All that an administrator reads of the endpoint by calls from outside."""
        with self.transaction() as env:
            groups = f"{ADMINISTRATOR},base.group_allow_export"
            user = new_test_user(env, f"stored-secrets-{self.clock}", groups)
            endpoint = self.endpoint(env).with_user(user)
            names = list(endpoint.fields_get())
            texts = [
                call_kw(endpoint, method, [endpoint.ids, names], {})
                for method in ("read", "export_data")
            ]
            texts.append(call_kw(endpoint, "search_read", [[], names], {}))
            for name in COLUMNS:
                for method, args in (
                    ("read", [endpoint.ids, [name]]),
                    ("export_data", [endpoint.ids, [name]]),
                    ("search", [[(name, "=like", "p%")]]),
                    ("search", [[(name, "=like", "enc:%")]]),
                ):
                    with self.assertRaises((AccessError, UserError, ValueError)):
                        call_kw(endpoint, method, args, {})
            env.cr.rollback()
            return json.dumps(texts, default=str)


class TestStoredSecrets(StoredCase):
    def test_planted_secrets_are_found_nowhere(self):
        """In each mode: dump, log at debug level, what RPC reads; clear: its column."""
        (self.folder / "sign").write_text(f"{SIGN}\n")
        os.environ["HOOK_TOKEN"] = AUTH
        keys = {"secret_keys": f"k1:{key(1)}"}
        allowed = {"secret_env": "HOOK_TOKEN", "secret_folders": self.folder}
        references = ("env:HOOK_TOKEN", f"file:{self.folder}/sign")
        for name, options, entered, rows in (
            ("clear", {}, (AUTH, SIGN), 1),
            ("encrypted", keys, (AUTH, SIGN), 0),
            ("references", allowed, references, 0),
        ):
            with self.subTest(name):
                self.configure(**options)
                # In clear mode the log of statements would have it (debug_sql).
                with self.log(with_statements=name != "clear") as lines:
                    self.enter(*entered)
                    self.assertEqual(f"Bearer {AUTH}", self.sent())
                    read = self.read_by_rpc()
                found = [line for line in self.dump().splitlines() if PLANTED in line]
                self.assertEqual(rows, len(found))
                self.assertNotIn(PLANTED, read)
                self.assertLess(3, len(lines))
                self.assertNotIn(PLANTED, "\n".join(lines))

    def test_clear_text_is_encrypted_by_the_next_write_and_by_the_rotation(self):
        """And both before and after, the same is sent."""
        self.enter()
        self.assertIn("Set secret_keys in odoo.conf", self.shown("secret_status"))
        self.assertEqual((AUTH, SIGN, None), self.stored())

        self.configure(secret_keys=f"k1:{key(1)}")
        self.assertIn("Press Encrypt Again", self.shown("secret_status"))
        self.set_up(auth_secret_input=AUTH)
        auth, sign, _old = self.stored()
        self.assertTrue(auth.startswith("enc:v1:k1:"))
        self.assertEqual(SIGN, sign)
        self.assertEqual(f"Bearer {AUTH}", self.sent())

        [sample] = [
            each for each in samples_of("docs/secrets.md") if each.language == "python"
        ]
        with self.transaction() as env:
            names = {"env": env}
            for count in (1, 0):
                exec("found = " + textwrap.dedent(sample.text).strip(), names)
                self.assertEqual((count, []), names["found"])
        self.assertEqual(auth, self.stored()[0])
        self.assertEqual(f"Bearer {AUTH}", self.sent())
        self.assertNotIn("clear", self.shown("secret_status"))
        with self.transaction() as env:
            self.assertEqual(SIGN, self.endpoint(env)._read_secret("signing_secret"))

    def test_a_rotation_that_was_interrupted(self):
        """Both keys are read meanwhile; the next run continues; then one can go."""
        self.configure(secret_keys=f"k1:{key(1)}")
        self.enter()
        with self.transaction() as env:
            other = env[ENDPOINT].create(
                {
                    "name": "Second",
                    "code": "second-with-secret",
                    "target_hostname": self.receiver.url,
                    "auth_mode": "bearer",
                    "auth_secret_input": AUTH,
                }
            )
            env[TOKEN]._keep(other.id, value="pl4nted-token")
        self.addCleanup(self._delete, other.id)
        self.configure(secret_keys=f"k2:{key(2)},k1:{key(1)}")
        self.set_up(signing_secret_input=SIGN)  # half-way: one of three has the new key
        self.assertEqual(f"Bearer {AUTH}", self.sent())
        self.assertIn("earlier key", self.shown("secret_status"))

        with self.transaction() as env:
            self.assertEqual((3, []), env[ENDPOINT]._reencrypt_secrets(batch_size=1))

        self.configure(secret_keys=f"k2:{key(2)}")
        self.assertEqual(f"Bearer {AUTH}", self.sent())
        with self.transaction() as env:
            self.assertEqual("pl4nted-token", env[TOKEN]._row(other.id).value)
        self.assertNotIn(PLANTED, self.dump())

    def _delete(self, endpoint_id):
        with self.transaction() as env:
            env[ENDPOINT].browse(endpoint_id).unlink()

    def test_a_key_that_is_wrong_or_gone(self):
        """Deliveries wait, the form says why, and they are sent with the key again."""
        self.configure(secret_keys=f"k1:{key(1)}")
        self.enter()
        with self.transaction() as env:
            env[TOKEN]._keep(self.endpoint_id, value="pl4nted-token", renew_at=9e9)
        for keys, expected in (
            ("", 'encrypted with key "k1"'),
            (f"k2:{key(1)}", 'encrypted with key "k1"'),
            (f"k1:{key(2)}", "doesn't decrypt"),
            ("k1:short", "not a valid key"),
        ):
            with self.subTest(keys):
                self.configure(secret_keys=keys)
                self.assertIsNone(self.sent())
                self.assertIn(expected, self.shown("secret_problem"))
                with self.transaction() as env:
                    row = env[TOKEN]._row(self.endpoint_id)
                self.assertEqual((None, 0.0), (row.value, row.renew_at))
        # Nothing is stored in clear text by mistake.
        with self.assertRaisesRegex(UserError, "not a valid key"):
            self.set_up(auth_secret_input=AUTH)
        self.configure(secret_keys=f"k2:{key(2)}")
        with self.transaction() as env:
            count, unreadable = env[ENDPOINT]._reencrypt_secrets()
        self.assertEqual((0, [self.endpoint_id]), (count, unreadable))

        self.configure(secret_keys=f"k1:{key(1)}")
        self.assertEqual(f"Bearer {AUTH}", self.sent())
        self.assertFalse(self.shown("secret_problem"))

    def test_references(self):
        """What they name is sent, as it is then; while it is missing, nothing is."""
        file = self.folder / "token"
        file.write_text(f"{AUTH}\n")
        self.configure(secret_folders=self.folder, secret_env="HOOK_TOKEN")
        self.enter(f"file:{file}")
        self.assertEqual(f"Bearer {AUTH}", self.sent())
        self.assertIn(f'Read from "file:{file}"', self.shown("secret_status"))
        for change, expected in (
            (file.unlink, "No such file"),
            (lambda: file.write_text("\n"), "is empty"),
            (
                lambda: self.configure(secret_folders="/run/secrets"),
                "not in an allowed",
            ),
        ):
            change()
            self.assertIsNone(self.sent())
            self.assertIn(expected, self.shown("secret_problem"))
        file.write_text("replaced")
        self.configure(secret_folders=self.folder, secret_env="HOOK_TOKEN")
        self.assertEqual("Bearer replaced", self.sent())

        with self.assertRaisesRegex(UserError, "no such environment variable"):
            self.set_up(auth_secret_input="env:HOOK_TOKEN")
        os.environ["HOOK_TOKEN"] = "from the environment"
        self.set_up(auth_secret_input="env:HOOK_TOKEN")
        self.assertEqual("Bearer from the environment", self.sent())
        for entered in (
            "env:PATH",
            "file:/etc/passwd",
            f"file:{file}/../../etc/passwd",
        ):
            with self.assertRaisesRegex(UserError, "is not (allowed|in an allowed)"):
                self.set_up(auth_secret_input=entered)

    def test_a_secret_that_begins_like_a_reference(self):
        """Behind text: it is sent as it is; ciphertext of a dump is text, too."""
        self.configure(secret_keys=f"k1:{key(1)}")
        self.enter()
        stolen = self.stored()[1]
        for keys in ("", f"k1:{key(1)}"):
            self.configure(secret_keys=keys)
            self.enter("text:env:HOME")
            self.assertEqual("Bearer env:HOME", self.sent())
            self.enter(stolen)
            self.assertEqual(f"Bearer {stolen}", self.sent())

    def test_the_old_secret_is_read_by_the_same_way(self):
        """Generate Secret keeps the old one: a reference, or encrypted again."""
        os.environ["HOOK_TOKEN"] = f"whsec_{key(5)}"
        for entered in ("env:HOOK_TOKEN", f"whsec_{key(5)}"):
            self.configure(secret_keys=f"k1:{key(1)}", secret_env="HOOK_TOKEN")
            self.set_up(signing_mode="standard", signing_secret_input=entered)
            with self.transaction() as env:
                secret = self.endpoint(env)._generate_secret(24)
            with self.transaction() as env:
                signature = self.endpoint(env)._trust().signature
            self.assertEqual(secret, signature.secret)
            self.assertEqual(f"whsec_{key(5)}", signature.old_secret)
            self.assertTrue(self.stored()[2].startswith(("env:HOOK_TOKEN", "enc:v1:")))
            self.configure()
            with self.transaction() as env, self.assertRaises(UserError):
                self.endpoint(env)._generate_secret(24)

    @mute_logger("odoo.http")
    def test_the_button_of_the_settings(self):
        """For Settings administrators only; it names what can't be read."""
        self.enter()
        with self.transaction() as env:
            settings = env[SETTINGS].create({})
            self.assertIn("clear text", settings.bwt_webhook_secret_keys)
            with self.assertRaisesRegex(UserError, "Set secret_keys"):
                settings.action_bwt_webhook_encrypt()
            user = new_test_user(env, "encrypts-nothing", ADMINISTRATOR)
            with self.assertRaises(AccessError):
                settings.with_user(user).action_bwt_webhook_encrypt()
            env.cr.rollback()
        self.configure(secret_keys=f"k1:{key(1)}")
        with self.transaction() as env:
            settings = env[SETTINGS].create({})
            self.assertIn('"k1"', settings.bwt_webhook_secret_keys)
            params = settings.action_bwt_webhook_encrypt()["params"]
        self.assertEqual("success", params["type"])
        self.assertNotIn(PLANTED, self.dump())
        self.configure(secret_keys=f"k2:{key(2)}")
        with self.transaction() as env:
            params = env[SETTINGS].create({}).action_bwt_webhook_encrypt()["params"]
        self.assertIn("Committed", params["message"])

    def test_the_proxy_with_its_password(self):
        """Encrypted when it is saved and by the button; without its key deliveries
        wait. It can be a reference as a whole."""
        self.addCleanup(self._set_proxy, None)
        proxy = f"http://odoo:{PLANTED}-proxy@127.0.0.1:9"
        self._set_proxy(proxy)
        self.assertIn(PLANTED, self.dump())
        self.configure(secret_keys=f"k1:{key(1)}")
        with self.transaction() as env:
            self.assertEqual((1, []), env[ENDPOINT]._reencrypt_secrets())
        self.assertNotIn(PLANTED, self.dump())
        with self.transaction() as env:
            self.assertEqual("odoo:pl4nted-proxy", egress_proxy(env).credentials)
            self.assertEqual("http://odoo:***@127.0.0.1:9", self._shown_proxy(env))
            env[SETTINGS].create({"bwt_webhook_proxy": f"{proxy}9"}).execute()
        self.assertNotIn(PLANTED, self.dump())
        with self.transaction() as env:
            self.assertEqual(99, egress_proxy(env).port)

        self.configure()
        self.assertIsNone(self.sent())
        self.assertIn("Proxy in Settings", self.shown("secret_problem"))
        with self.transaction() as env:
            self.assertTrue(self._shown_proxy(env).startswith("enc:v1:k1:"))
            # Without the key another one can be entered.
            env[SETTINGS].create({"bwt_webhook_proxy": "http://127.0.0.1:9"}).execute()
            self.assertEqual(9, egress_proxy(env).port)

        self.configure(secret_env="HOOK_TOKEN")
        os.environ["HOOK_TOKEN"] = proxy
        with self.transaction() as env:
            env[SETTINGS].create({"bwt_webhook_proxy": "env:HOOK_TOKEN"}).execute()
            self.assertEqual("env:HOOK_TOKEN", self._shown_proxy(env))
            self.assertEqual("odoo:pl4nted-proxy", egress_proxy(env).credentials)
            with self.assertRaisesRegex(UserError, "Proxy: .*is not allowed"):
                env[SETTINGS].create({"bwt_webhook_proxy": "env:PATH"}).execute()
        self.assertNotIn(PLANTED, self.dump())

    def _set_proxy(self, value):
        with self.transaction() as env:
            env["ir.config_parameter"].set_param(PROXY_PARAMETER, value)

    def _shown_proxy(self, env):
        name = "bwt_webhook_proxy"
        return env[SETTINGS].default_get([name])[name]

    def test_nothing_else_reads_the_columns(self):
        """No attribute or key of these names outside of the one file that reads them.

        Values of services have the same names, but know no record.
        """
        found = []
        for folder in ("models", "lane", "wizards", "controllers"):
            for path in sorted((ROOT / folder).glob("*.py")):
                if path.name == "endpoint_secrets.py":
                    continue
                for node in ast.walk(ast.parse(path.read_text())):
                    name = None
                    if isinstance(node, ast.Attribute):
                        owner = ast.unparse(node.value).split(".")[-1]
                        name = owner != "trust" and node.attr
                    elif isinstance(node, ast.Subscript):
                        name = getattr(node.slice, "value", None)
                    if name in COLUMNS:
                        found.append(f"{path.name}:{node.lineno}")
        self.assertEqual([], found)

    def test_once_per_snapshot_and_never_kept(self):
        """All parts of a snapshot have one value, and the next one reads again."""
        file = self.folder / "token"
        file.write_text("the first one")
        self.configure(secret_folders=self.folder)
        self.enter(f"file:{file}")
        with self.transaction() as env:
            endpoint = self.endpoint(env)
            first = endpoint._trust()
            file.write_text("the second")
            second = endpoint._trust()
        self.assertEqual("Bearer the first one", first.credential.value)
        self.assertIn("the first one", first.secrets)
        self.assertEqual("Bearer the second", second.credential.value)
