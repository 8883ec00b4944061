# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Why due deliveries are not sent, as a message for the operator."""

import json
import re
import threading
import uuid
from datetime import datetime, timedelta
from typing import NamedTuple

import requests

from odoo.http import db_filter
from odoo.tools import config, consteq
from odoo.tools.misc import hmac

from . import jobs
from .pacing import longest_timeout

GRACE_PERIOD = timedelta(seconds=30)
LONG_TRANSACTION = timedelta(minutes=10)


def trouble(
    env,
    state: jobs.QueueState,
    oldest_due: datetime | None,
    now: datetime,
    timeout: float,
):
    """A message: what is wrong and what to do; None when nothing is.

    :param oldest_due: when the longest waiting delivery became due
    :param timeout: of the endpoint, in seconds
    """
    if not oldest_due or now - oldest_due < GRACE_PERIOD or state.lane_at_work:
        return None
    minutes = int((now - oldest_due).total_seconds() // 60)
    waited = (
        env._("The oldest due delivery has been waiting for %s minutes. ", minutes)
        if minutes > 1
        else env._("The oldest due delivery has been waiting for a minute. ")
    )
    longest = longest_timeout()
    if longest is not None and timeout > longest:
        return waited + env._(
            "A request may take %(timeout)s seconds, and this server ends a job after "
            "limit_time_real: no request is started that could last that long. Set the "
            "timeout to %(longest)s seconds or less, or raise limit_time_real.",
            timeout=int(timeout),
            longest=int(longest),
        )
    if not state.runner_alive:
        finding = why_no_runner(env.cr.dbname)
        return waited + summary(env, finding)
    if state.wake_up_waiting and state.jobs_running:
        return waited + env._(
            "Its job waits for channel capacity: %s other jobs are running. Raise "
            "the capacity of the channel root.webhooks.outbound, or wait for them.",
            state.jobs_running,
        )
    if state.wake_up_waiting:
        stored = env["ir.config_parameter"].sudo().get_param(PARAMETER)
        if finding := load(stored):
            return waited + summary(env, finding)
        return waited + env._(
            "Its job waits although no other job is running. Press Check the Job "
            "Runner to see whether the runner reaches Odoo."
        )
    held_since = state.oldest_transaction
    if held_since and now - held_since > LONG_TRANSACTION:
        return waited + env._(
            "A database transaction has been open since %s (UTC) and may lock its "
            "rows. Find it in pg_stat_activity and end it.",
            held_since.strftime("%Y-%m-%d %H:%M"),
        )
    return waited + env._(
        "No job is queued for it. The scheduled action that wakes endpoints queues "
        "one every minute: check that it is active and that cron workers run."
    )


PATH = "/bwt_webhooks_outbound/runner_check"
PARAMETER = (
    "bwt_webhooks_outbound.runner_check"  # result of the scheduled action's last check
)
SCOPE = "bwt_webhooks_outbound.runner_check"
ADVICE = "server_wide_modules = base,rpc,web,queue_job"
TIMEOUT = 3  # seconds to connect, and for each part of the response
DEADLINE = 5  # seconds in all
BODY_MAX = 4096  # bytes read of the response
NO_DATABASE = "No database is selected"  # Odoo's page for a URL without a database

WORKS = "works"
NO_CAPACITY = "no_capacity"
NOT_LOADED = "not_loaded"
NOT_SERVED = "not_served"
NO_RUNNER = "no_runner"
UNREACHABLE = "unreachable"
NO_WORKER = "no_worker"
LOGIN = "login"
DB_FILTER = "db_filter"
OTHER_SERVER = "other_server"


class Finding(NamedTuple):
    """Result of a check: a cause, and the values for the text of `summary`."""

    cause: str
    values: dict

    @property
    def is_good(self) -> bool:
        return self.cause == WORKS


class CheckResponse(NamedTuple):
    """The response to the request, or why there is none."""

    status: int = 0
    text: str = ""
    error: Exception | None = None


def check_runner(env) -> Finding:
    """Check whether jobs of this database can start; takes `DEADLINE` at most."""
    if not jobs.is_runner_alive(env.cr):
        return why_no_runner(env.cr.dbname)
    if channel := jobs.paused_channel(env):
        return Finding(NO_CAPACITY, {"channel": channel})
    return _ask(env)


def runner_problem(env) -> str | None:
    """Why no job can start, read from the database at once; None if jobs start.

    Makes no request: the scheduled action does while jobs start late, and stores what
    it finds.
    """
    if not jobs.is_runner_alive(env.cr):
        return summary(env, why_no_runner(env.cr.dbname))
    stored = env["ir.config_parameter"].sudo().get_param(PARAMETER)
    finding = load(stored)
    return finding and summary(env, finding)


def why_no_runner(database: str) -> Finding:
    """Why no runner works, judging by this server's configuration."""
    if jobs.starts_no_jobs():
        return Finding(NO_CAPACITY, {"channel": "root"})
    if not jobs.is_runner_loaded():
        return Finding(NOT_LOADED, {"loaded": ",".join(config["server_wide_modules"])})
    if config["db_name"] and database not in config["db_name"]:
        served = ",".join(config["db_name"])
        return Finding(NOT_SERVED, {"database": database, "served": served})
    return Finding(NO_RUNNER, {})


def proof(env, nonce: str) -> str:
    """The response to a nonce that only a server on this database can compute."""
    return hmac(env, SCOPE, nonce)


def _ask(env) -> Finding:
    runner = jobs.runner_address()
    host = f"{runner.host}:{runner.port}"
    address = f"{runner.scheme}://{host}"
    auth = (runner.user, runner.password) if runner.user else None
    nonce = uuid.uuid4().hex
    found = _get(f"{address}{PATH}?nonce={nonce}", auth, env.cr.dbname)
    values = {"address": address, "database": env.cr.dbname}
    if isinstance(found.error, requests.ReadTimeout):
        return Finding(NO_WORKER, {**values, "workers": config["workers"] or 0})
    if found.error:
        return Finding(UNREACHABLE, {**values, "error": _reason(found.error)})
    if consteq(found.text, proof(env(su=True), nonce)):
        return Finding(WORKS, values)
    if found.status in (401, 403, 407):
        return Finding(LOGIN, {**values, "status": found.status})
    if NO_DATABASE in found.text or not db_filter([env.cr.dbname], host=host):
        values |= {"host": runner.host, "dbfilter": config["dbfilter"] or ""}
        return Finding(DB_FILTER, values)
    return Finding(OTHER_SERVER, {**values, "status": found.status})


def _get(url, auth, database) -> CheckResponse:
    """Make the request that the runner makes; in a thread, because a timeout of
    `requests` starts again with each part of the response.
    """
    responses = []

    def get():
        try:
            with requests.get(
                url,
                timeout=TIMEOUT,
                auth=auth,
                headers={"X-Odoo-Database": database},
                stream=True,
            ) as response:
                body = next(response.iter_content(BODY_MAX), b"")
                text = body.decode("utf-8", "replace")
                responses.append(CheckResponse(response.status_code, text))
        except requests.RequestException as error:
            responses.append(CheckResponse(error=error))

    thread = threading.Thread(target=get, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    return responses[0] if responses else CheckResponse(error=requests.ReadTimeout())


def _reason(error) -> str:
    """The innermost text of an error of `requests`: `Connection refused`."""
    while isinstance(error.args and error.args[0], Exception):
        error = error.args[0]
    inner = getattr(error, "reason", None) or error
    text = getattr(inner, "strerror", None) or str(inner)
    text = re.sub(r"^\[Errno -?\d+\] ", "", text.rpartition(": ")[2])
    return text[:200] or type(inner).__name__


def dump(finding: Finding) -> str:
    """Serialize a finding."""
    return json.dumps(finding)


def load(text: str | None) -> Finding | None:
    """Deserialize a finding; None where none is stored."""
    return Finding(*json.loads(text)) if text else None


def summary(env, finding: Finding) -> str:
    """What is wrong, where, and what to do, in the user's language."""
    texts = {
        WORKS: env._(
            "The job runner works: it serves this database, and a request to "
            "%(address)s, the address that it calls, reaches this database."
        ),
        NO_CAPACITY: env._(
            "The channel %(channel)s starts no jobs: its capacity is 0, or it is "
            "paused. Correct channels in section [queue_job] of odoo.conf, as in "
            "channels = root:2, and restart Odoo."
        ),
        NOT_LOADED: env._(
            "No job runner works on this database: this server loads the modules "
            "%(loaded)s only. Set %(advice)s and a section [queue_job] with channels = "
            "root:2 or more in odoo.conf, and restart Odoo."
        ),
        NOT_SERVED: env._(
            "No job runner works on this database: db_name in odoo.conf limits it to "
            "%(served)s. Add %(database)s there, and restart Odoo."
        ),
        NO_RUNNER: env._(
            "No job runner works on this database: start Odoo with %(advice)s and a "
            "[queue_job] section with channels = root:2 or more, and restart it after "
            "queue_job was installed. If you did, the server's log says why the runner "
            "fails."
        ),
        UNREACHABLE: env._(
            "The job runner can't reach Odoo at %(address)s: %(error)s. Set host, port "
            "and scheme in section [queue_job] of odoo.conf to where this server "
            "listens, and restart Odoo."
        ),
        NO_WORKER: env._(
            "The server at %(address)s did not respond in time: no HTTP worker was "
            "free, with workers = %(workers)s. Raise workers above the capacity of the "
            "channels, to 3 at least; with 1 this check occupies the only one."
        ),
        LOGIN: env._(
            "The server at %(address)s requires a login from the job runner (HTTP "
            "%(status)s). Set http_auth_user and http_auth_password in section "
            "[queue_job] of odoo.conf, or a host and port that lead to Odoo "
            "directly."
        ),
        DB_FILTER: env._(
            "The job runner calls %(address)s, and there dbfilter keeps the request "
            'from database "%(database)s" (dbfilter = %(dbfilter)s, host = %(host)s). '
            "Set host in section [queue_job] of odoo.conf to a name that the filter "
            "matches with this database, or change dbfilter, and restart Odoo."
        ),
        OTHER_SERVER: env._(
            "The job runner calls %(address)s, and what responds there (HTTP "
            '%(status)s) is not this Odoo with database "%(database)s". Correct host, '
            "port and scheme in section [queue_job] of odoo.conf, and restart Odoo."
        ),
    }
    return texts[finding.cause] % {"advice": ADVICE, **finding.values}
