# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""`make demo` and `make serve`: the running addon, with a receiver to send to."""

import contextlib
import json
import textwrap
import time

from tools import fetch, pytest_paths  # noqa: F401  sets the path of receiver
from tools.console import Trouble, say, step
from tools.databases import Databases
from tools.odoo_server import OdooServer, free_port
from tools.postgres import Cluster
from tools.suite import database_name
from tools.workspace import ADDON, only_once

from receiver import Receiver, flaky  # isort: skip

RECEIVER_PORT = 18069  # the one that the demo data names
ODOO_PORT = 18070  # constant, so that bookmarks and open tabs continue to work
OVERVIEW = "/odoo/webhooks"  # the path of the addon's first page
UP_ALREADY = """\
`make serve` of this clone is up already, in another terminal.
Use that one, or end it with Ctrl-C first."""
WAIT = 90  # seconds for all deliveries to end
INSTALL_SECONDS = 1200  # that a click in Apps may take in `make serve`
ATTEMPT = "bwt_webhook_outbound_delivery_attempt"
DELIVERY = "bwt_webhook_outbound_delivery"

POINT_ENDPOINTS = """
endpoints = env["bwt.webhook.outbound.endpoint"].search([("code", "=like", "demo-%")])
for endpoint in endpoints:
    if endpoint.target_hostname.startswith("http://127.0.0.1:"):
        endpoint.target_hostname = {url!r}
env.cr.commit()
print(len(endpoints))
"""

QUEUE = """
import json

def queue(code, *arguments, **options):
    endpoint = env["bwt.webhook.outbound.endpoint"].search([("code", "=", code)])
    return endpoint.queue_delivery(*arguments, **options).sudo().message_uid

partner, customer = env["res.partner"].search([], limit=2, order="id desc")
company = env["res.partner"].search([("child_ids", "!=", False)], limit=1)
about = {"id": partner.id, "name": partner.name, "updated": partner.write_date}
uids = {
    "demo-orders": queue(
        "demo-orders", {"partner": about}, {"order_id": partner.id}, record=partner
    ),
    "demo-form": queue(
        "demo-form", {"partner": {"id": customer.id, "name": customer.name}}
    ),
    "demo-files": queue(
        "demo-files",
        {"partner_id": partner.id},
        files={
            "card": {
                "filename": "partner.txt",
                "content": partner.display_name.encode(),
                "content_type": "text/plain",
            }
        },
        record=partner,
    ),
    "demo-flaky": queue("demo-flaky", {"partner_id": partner.id}, record=partner),
    "demo-missing": queue("demo-missing", {"partner_id": partner.id}, record=partner),
    "demo-upsert": queue("demo-upsert", record=company),
    "demo-upsert, changed": queue("demo-upsert", record=company),
}
env.cr.commit()  # nothing is sent before
print(json.dumps(uids))
"""

# What looks like a failure in the output of `make demo`.
INTENDED = {
    "demo-flaky": "as intended: the receiver refuses it once",
    "demo-missing": "as intended: the receiver knows no such address",
    "demo-upsert, changed": "as intended: an update of what the first one created",
}

# code -> state, states of the attempts, requests at the receiver
EXPECTED = {
    "demo-orders": ("done", ["done"], 1),
    "demo-form": ("done", ["done"], 1),
    "demo-files": ("done", ["done"], 1),
    "demo-flaky": ("done", ["error", "done"], 2),
    "demo-missing": ("dead_letter", ["dead_letter"], 1),
    "demo-upsert": ("done", ["done"], 1),
    "demo-upsert, changed": ("done", ["done"], 1),
}


def run_demo() -> int:
    """Some deliveries from a fresh database to a receiver; returns the exit code."""
    fetch.ensure("odoo")
    with Cluster.running() as cluster, Receiver() as receiver:
        database = database_name("demo")
        databases = Databases(cluster)
        databases.template(demo=True)
        with step(f"installing {ADDON} with demo data in a fresh database"):
            databases.fresh(database, demo=True)
        databases.shell(database, POINT_ENDPOINTS.format(url=receiver.url))
        receiver.script("/flaky", flaky(1))
        say("starting the server; its job runner begins some seconds later")
        server = OdooServer(cluster, database)
        try:
            server.start().wait_ready()
            uids = json.loads(databases.shell(database, QUEUE).splitlines()[-1])
            say(f"queued {len(uids)} deliveries; waiting for them to end\n")
            _wait_for_end(cluster, database, uids)
        finally:
            server.stop()
        surprises = []
        for code, uid in uids.items():
            surprises += _show(cluster, database, receiver, code, uid)
        created = receiver.requests_to("/customers")[0].webhook_id[-6:]
        changed = receiver.requests_to(f"/customers/R-{created}")
        if ["PUT"] != [each.method for each in changed]:
            surprises.append("demo-upsert: the change isn't a PUT to the new id")
        if not surprises:
            server.discard()
            databases.drop(database)
            say("Each delivery ended as it should, the one in dead letter too.")
            say("Now: make serve, to press the buttons.")
            return 0
        say("Not as it should be:\n  " + "\n  ".join(surprises))
        say(f"The database {database} and the log {server.log_path} are kept.")
        return 1


def _wait_for_end(cluster, database, uids):
    listed = ", ".join(f"'{uid}'" for uid in uids.values())
    pending = (
        f"SELECT message_uid FROM {DELIVERY} WHERE message_uid IN ({listed}) "
        "AND state NOT IN ('done', 'dead_letter', 'canceled')"
    )
    deadline = time.monotonic() + WAIT
    while cluster.rows(database, pending) and time.monotonic() < deadline:
        time.sleep(0.2)


def _show(cluster, database, receiver, code, uid):
    """Print one delivery from both sides; returns what isn't as expected."""
    [delivery] = cluster.rows(
        database, f"SELECT id, state FROM {DELIVERY} WHERE message_uid = '{uid}'"
    )
    attempts = cluster.rows(
        database,
        "SELECT attempt_number, state, response_status_code AS status, duration_ms "
        f"FROM {ATTEMPT} WHERE delivery_id = {delivery['id']} ORDER BY attempt_number",
    )
    arrived = [each for each in receiver.requests if each.webhook_id == uid]
    found = (delivery["state"], [each["state"] for each in attempts], len(arrived))
    intended = found == EXPECTED[code] and INTENDED.get(code)
    say(f"--- {code}: {delivery['state']}" + (f" ({intended})" if intended else ""))
    for attempt in attempts:
        say("    attempt {attempt_number}: {state}, HTTP {status}".format(**attempt))
    for request in arrived:
        say(f"    arrived: {request.method} {request.path}")
        for name, value in request.headers:
            say(f"        {name}: {value}")
        say(textwrap.indent(request.body.decode(errors="replace"), " " * 8))
    if found == EXPECTED[code]:
        return []
    return [f"{code}: state, attempts, arrivals are {found}, not {EXPECTED[code]}"]


# --- a server that keeps running


def prepare_playground(cluster) -> str:
    """The database of `make serve`, `shell`, `lane`, `psql`; created if missing."""
    database = database_name("serve")
    databases = Databases(cluster)
    if database not in cluster.databases():
        databases.template(demo=True)
        with step(f"installing {ADDON} with demo data in {database}"):
            databases.fresh(database, demo=True)
    return database


def serve() -> int:
    """Web client, worker and receiver until Ctrl-C."""
    fetch.ensure("odoo")
    database = database_name("serve")
    with (
        # A second one would update the database under the first, and lead the demo
        # endpoints to its own receiver.
        only_once(database, UP_ALREADY),
        Cluster.running() as cluster,
        _visible_receiver() as receiver,
    ):
        databases = Databases(cluster)
        if database in cluster.databases():
            with step(f"updating {ADDON} in {database}"):
                databases.update(database, ADDON, demo=True)
        prepare_playground(cluster)
        databases.shell(database, POINT_ENDPOINTS.format(url=receiver.url))
        port = _port(ODOO_PORT, "Odoo")
        # Odoo ends itself when Apps take longer to install one, on a slow machine.
        limits = {"limit_time_real": INSTALL_SECONDS, "limit_time_cpu": INSTALL_SECONDS}
        with OdooServer(cluster, database, http_port=port, options=limits) as server:
            say(f"\nOdoo      {server.url}{OVERVIEW}   login admin, password admin")
            say(f"log       {server.log_path}")
            say(f"receiver  {receiver.url}   (what it gets is shown below)")
            say(f"Ctrl-C ends both. The database stays {cluster.place}.\n")
            with contextlib.suppress(KeyboardInterrupt):
                while server.is_running():
                    time.sleep(0.5)
            say("\nstopping")
            ended_itself = not server.is_running()
        if ended_itself:
            raise Trouble(f"Odoo ended by itself: see {server.log_path}")
        return 0


@contextlib.contextmanager
def _visible_receiver():
    """The receiver of the demo data, on its port if that is free."""

    def show(request):
        body = request.body[:500].decode(errors="replace")
        say(f"arrived: {request.method} {request.path} {request.webhook_id}\n  {body}")

    with Receiver(_port(RECEIVER_PORT, "the receiver"), on_request=show) as receiver:
        yield receiver


def _port(wanted, who):
    """The requested port, or a free one, with a message."""
    port = free_port(wanted)
    if port != wanted:
        say(
            f"Port {wanted} is taken, perhaps by `make serve` of another clone: "
            f"{who} has port {port} this time."
        )
    return port
