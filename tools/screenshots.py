# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""`make screenshots`: the pictures of README and Apps page, taken from the screens.

Run with Odoo's Python, which has Pillow and websocket-client. Deliveries and attempts
are made up: nothing is sent, the server starts no jobs.
"""

import base64
import contextlib
import io
import json
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from PIL import Image
from websocket import create_connection

from tools import fetch
from tools.console import Trouble, say, step
from tools.databases import Databases
from tools.odoo_server import OdooServer
from tools.postgres import Cluster
from tools.suite import database_name
from tools.workspace import ADDON, REPOSITORY, folder

FOLDER = REPOSITORY / "static" / "description"
DESKTOP = (1366, 768)
PHONE = (375, 667)
GAP = 20  # pixels between the screens of the phone
WAIT = 120  # seconds for a page: the first one compiles the assets

DATA = """
import json
from datetime import datetime, timedelta

now = datetime.utcnow().replace(microsecond=0)
host = "https://api.example.com"
partners = env["res.partner"].create([
    {"name": "Lumber Inc", "email": "wood@lumber.example.com", "city": "Stockton"},
    {"name": "Wood Corner", "email": "corner@wood.example.com"},
])

def endpoint(name, path, **values):
    code = name.lower().replace(" ", "-")
    return env["bwt.webhook.outbound.endpoint"].create({
        "name": name, "code": code, "target_hostname": host, "target_path": path,
        "responsible_id": env.ref("base.user_admin").id, **values,
    })

shop = endpoint("Shop orders", "/orders/{order_id}")
customers = endpoint(
    "Customer data", "/v2/customers/{ref}", http_method="put", auth_mode="api_key",
    auth_header_name="X-Api-Key", auth_secret_input="not-a-real-key",
)
labels = endpoint("Shipping labels", "/labels/{order_id}")
stock = endpoint("Marketplace stock", "/offers/{sku}")
accounting = endpoint("Accounting", "/entries")
warehouse = endpoint("Warehouse", "/stock")
endpoint("Newsletter", "/lists/news", is_paused=True)
healthy = [endpoint("Loyalty points", "/points"), endpoint("Payments", "/payments")]

def health(endpoint, **values):
    endpoint.health_ids.sudo().write(values)

for each in (shop, *healthy):
    health(each, last_success_at=now - timedelta(minutes=4), recent_results="1" * 20)
health(shop, recent_results="1" * 11 + "0" + "1" * 8)
health(customers, recent_results="0", last_failure_at=now - timedelta(minutes=9))
for each in (labels, accounting):
    health(
        each, last_failure_at=now - timedelta(minutes=2), failure_streak=2,
        recent_results="1" * 15 + "0" * 5,
    )
health(
    warehouse, circuit_state="open", failure_streak=10, opened_at=now,
    next_probe_at=now + timedelta(hours=1), last_failure_at=now,
)

def delivery(endpoint, name, at, tries, *, lines=None, payload=None, record=None):
    # tries: (status, state, reason, error, milliseconds)
    made = endpoint.queue_delivery(
        payload or {"number": name.split()[-1]}, lines, name=name, record=record
    ).sudo()
    env.flush_all()
    for number, (status, state, reason, error, ms) in enumerate(tries, 1):
        body = {"error": "no such customer", "hint": "create it first"}
        sent = {
            "Host": "api.example.com", "User-Agent": "bwt-webhooks-outbound/19.0",
            "Accept-Encoding": "gzip, deflate", "Content-Type": "application/json",
            "webhook-id": made.message_uid,
        }
        if endpoint.auth_mode == "api_key":
            sent["X-Api-Key"] = "***"
        values = {
            "response_status_code": status,
            "response_headers_json": json.dumps({"Content-Type": "application/json"}),
            "response_body": json.dumps(body if status == 404 else {"ok": True}),
            "processing_error": error, "failure_reason": reason,
        }
        env["bwt.webhook.outbound.delivery.attempt"].sudo().create({
            "delivery_id": made.id, "name": f"{name} / Attempt {number}",
            "endpoint_id": endpoint.id, "company_id": endpoint.company_id.id,
            "attempt_number": number, "state": state, "started_at": at,
            "finished_at": at + timedelta(milliseconds=ms), "duration_ms": ms,
            "http_method": endpoint.http_method, "request_body_mode": "json",
            "target_url": f"{host}{endpoint.target_path}".format(**(lines or {})),
            "request_headers_json": json.dumps(sent, indent=2),
            "payload_json": made.payload_json, **values,
        })
    env.flush_all()
    stored = {"create_date": at, "queued_at": at, "attempt_count": len(tries)}
    if tries:
        is_final = tries[-1][1] in ("done", "dead_letter")
        stored |= values | {
            "state": tries[-1][1], "retry_number": len(tries) - is_final,
            "next_attempt_at": None if is_final else now + timedelta(minutes=23),
            "processed_at": at + timedelta(milliseconds=ms) if is_final else None,
            "queue_to_done_seconds": ms / 1000 if is_final else 0,
        }
    columns = ", ".join(f"{name} = %s" for name in stored)
    env.cr.execute(
        f"UPDATE bwt_webhook_outbound_delivery SET {columns} WHERE id = %s",
        [*stored.values(), made.id],
    )
    env.invalidate_all()
    return made

DONE = lambda ms: (200, "done", None, None, ms)
NOT_FOUND = (
    404, "dead_letter", "http_4xx",
    "HTTP 404 Not Found: nothing is at this address. Check the endpoint's hostname "
    "and path, then retry.", 147,
)
BUSY = (503, "error", "http_5xx", "HTTP 503 Service Unavailable", 90)
for number in range(179, -1, -1):
    at = now - timedelta(minutes=7 * number + 37, seconds=number)
    tries = [NOT_FOUND] if number == 8 else [DONE(95 + number * 37 % 97)]
    delivery(shop, f"Order S{number + 1:04d}", at, tries,
             lines={"order_id": f"S{number + 1:04d}"})
delivery(stock, "Stock of CHAIR-1", now - timedelta(minutes=8), [],
         lines={"sku": "CHAIR-1"})
delivery(labels, "Label for S00231", now - timedelta(minutes=6), [BUSY, BUSY],
         lines={"order_id": "S00231"})
failed = delivery(
    customers, "Customer Lumber Inc", now - timedelta(minutes=3), [NOT_FOUND],
    lines={"ref": "C021"}, record=partners[0],
    payload={"customer": {
        "name": "Lumber Inc", "email": partners[0].email, "city": "Stockton",
    }},
)
env.cr.execute(
    "UPDATE bwt_webhook_outbound_delivery SET next_attempt_at = %s WHERE id IN "
    "(SELECT id FROM bwt_webhook_outbound_delivery WHERE state = 'queued')",
    [now - timedelta(minutes=8)],
)
env.cr.execute("DELETE FROM queue_job")
from odoo.modules.module import load_script
from odoo.tools import file_path
counting = "bwt_webhooks_outbound/migrations/19.0.1.3.0/post-hourly-figures.py"
load_script(file_path(counting), "post_hourly_figures").migrate(env.cr, "19.0")
action = env["ir.actions.server"].create({
    "name": "Notify the shop", "model_id": env.ref("base.model_res_partner").id,
    "state": "bwt_webhook_outbound", "bwt_webhook_endpoint_id": customers.id,
    "bwt_webhook_field_ids": [
        (0, 0, {"usage": "field", "source_expression": path, "sequence": number})
        for number, path in enumerate(("name", "email", "country_id.code"))
    ],
    "bwt_webhook_context_ids": [
        (0, 0, {"usage": "context", "target": "ref", "source_expression": "ref"}),
    ],
})
partners[1].ref = "C022"
action.create_action()
env.cr.commit()
print(json.dumps({
    "shop": shop.id, "failed": failed.id, "action": action.id,
    "attempt": failed.attempt_ids.id,
}))
"""


class Browser:
    """Chromium without a window, controlled over its debugging port."""

    def __init__(self, home):
        self.home = Path(home)
        self.process = subprocess.Popen(
            [
                *(fetch.find_browser(), "--headless=new", "--no-sandbox"),
                *("--disable-gpu", "--hide-scrollbars", "--lang=en-US"),
                *("--remote-debugging-port=0", "--remote-allow-origins=*"),
                *(f"--user-data-dir={home}", "about:blank"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._sent = 0
        port = wait_for(self._port, "Chromium")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as found:
            [page] = [each for each in json.load(found) if each["type"] == "page"]
        self._socket = create_connection(page["webSocketDebuggerUrl"], timeout=WAIT)

    def close(self):
        """End the process."""
        self._socket.close()
        self.process.terminate()
        self.process.wait(WAIT)

    def _port(self):
        with contextlib.suppress(OSError):
            return (self.home / "DevToolsActivePort").read_text().split("\n")[0]
        return None

    def command(self, method, **parameters):
        """Run a command of the DevTools protocol; returns its result."""
        self._sent += 1
        request = {"id": self._sent, "method": method, "params": parameters}
        self._socket.send(json.dumps(request))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._sent:
                return message["result"]

    def run(self, script):
        """The value of a JavaScript expression."""
        result = self.command("Runtime.evaluate", expression=script, returnByValue=True)
        return result["result"].get("value")

    def open(self, url, ready):
        """Open a page and wait until a selector is shown and nothing is loading."""
        self.command("Page.navigate", url=url)
        self.wait(ready)

    def wait(self, ready):
        """Wait for a selector, then for pending requests and images."""
        found = f"!!document.querySelector({ready!r})"
        try:
            wait_for(lambda: self.run(found), ready)
        except Trouble as trouble:
            seen = folder("run") / "screenshot.png"
            self.picture().save(seen)
            raise Trouble(f"{trouble} Instead: {seen}") from None
        idle = "!document.querySelector('.o_loading_indicator, .o_blockUI')"
        wait_for(lambda: self.run(idle), "the end of loading")
        time.sleep(1)  # charts are drawn with an animation

    def log_in(self, url):
        """Log in as admin."""
        self.open(f"{url}/web/login", "input[name=login]")
        self.run(
            "document.querySelector('input[name=login]').value = 'admin';"
            "document.querySelector('input[name=password]').value = 'admin';"
            "document.querySelector('form.oe_login_form').submit()"
        )
        self.wait(".o_main_navbar")

    def size(self, width, height, *, mobile=False):
        """Set the size of the screen."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "mobile": mobile},
            deviceScaleFactor=1,
        )

    def picture(self) -> Image.Image:
        """What the screen shows."""
        data = self.command("Page.captureScreenshot", format="png")["data"]
        return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def wait_for(check, what):
    """What `check` returns once it is true."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.1)
    raise Trouble(f"{what} didn't appear in {WAIT} s.")


def take_all(browser, url, ids):
    """Take the pictures; `ids`: records by name."""

    def action(name, record=""):
        return f"{url}/odoo/action-{ADDON}.action_webhook_outbound_{name}/{record}"

    browser.size(*DESKTOP)
    browser.log_in(url)

    browser.open(action("endpoint"), ".o_list_view")
    browser.run("document.querySelector('.o_switch_view.o_kanban').click()")
    browser.wait(".o_kanban_record")
    save("endpoints", browser.picture())
    browser.open(action("endpoint", ids["shop"]), ".o_form_view canvas")
    save("endpoint", browser.picture())
    browser.open(action("delivery", ids["failed"]), ".o_form_view")
    browser.run("document.querySelector('[name=attempt_ids] li button').click()")
    browser.wait("section[name=response] pre")
    save("delivery", browser.picture())
    browser.open(
        f"{url}/odoo/m-bwt.webhook.outbound.delivery.attempt/{ids['attempt']}",
        ".o_form_view .ace_line",
    )
    browser.run("document.querySelector('.o_content').scrollTo(0, 10000)")
    browser.wait(".ace_line")
    save("attempt", browser.picture())
    browser.open(action("delivery"), ".o_list_view")
    while browser.run("!!document.querySelector('.o_facet_remove')"):
        browser.run("document.querySelector('.o_facet_remove').click()")
        browser.wait(".o_list_view")
    browser.wait(".o_data_row")
    save("deliveries", browser.picture())
    browser.open(f"{url}/odoo/m-ir.actions.server/{ids['action']}", ".o_form_view")
    save("server_action", browser.picture())

    browser.size(*PHONE, mobile=True)
    screens = []
    for page, ready in (
        (action("attention"), ".o_group_header"),
        (action("delivery", ids["failed"]), ".o_form_view"),
        (action("endpoint"), ".o_kanban_record"),
    ):
        browser.open(page, ready)
        screens.append(browser.picture())
    width, height = PHONE
    phone = Image.new("RGB", (3 * width + 2 * GAP, height), "white")
    for place, screen in enumerate(screens):
        phone.paste(screen, (place * (width + GAP), 0))
    save("phone", phone)


def save(name, picture):
    """Store a picture of README and Apps page."""
    path = FOLDER / f"{name}.png"
    compressed(picture).save(path, optimize=True)
    say(f"wrote {path.relative_to(REPOSITORY)}")


def compressed(picture) -> Image.Image:
    """A picture of 256 colours, which is small."""
    return picture.quantize(256, dither=Image.Dither.NONE)


@contextlib.contextmanager
def screens(purpose, script, *, beside=()):
    """A browser at the server of a fresh database, its URL, and what the script prints.

    purpose: part of the database's name
    script: fills the database; the last line that it prints is JSON
    beside: more addons of Odoo
    """
    name = database_name(purpose)
    with Cluster.running() as cluster, tempfile.TemporaryDirectory() as home:
        databases = Databases(cluster)
        with step(f"installing {ADDON} in a fresh database"):
            databases.fresh(name, beside=beside)
        server = OdooServer(cluster, name, channels="root:0")
        try:
            with step("records to show"):
                ids = json.loads(databases.shell(name, script).splitlines()[-1])
            server.start().wait_ready()
            browser = Browser(home)
            try:
                yield browser, server.url, ids
            finally:
                browser.close()
        finally:
            server.stop()
            server.discard()
            databases.drop(name)


def main():
    """Take the pictures of README and Apps page."""
    with screens("screenshots", DATA) as (browser, url, ids):
        take_all(browser, url, ids)


if __name__ == "__main__":
    try:
        main()
    except Trouble as trouble:
        raise SystemExit(str(trouble)) from None
