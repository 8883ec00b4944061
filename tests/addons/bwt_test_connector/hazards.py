# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A handler that does to its worker whatever the payload says."""

import os
import resource
import smtplib
import socket
import subprocess
import threading
import time
import uuid

from odoo import api, models

from odoo.addons.bwt_webhooks_outbound.callback import webhook_callback

KEPT = {}  # port -> a connected socket
NOTED = []  # what callbacks after a commit have done


class ShopHazard(models.AbstractModel):
    _name = "shop.hazard"
    _description = "Shop Hazard"

    @api.model
    @webhook_callback
    def decide(self, delivery, request):
        """`{"do": [name, argument]}` in the payload; without it the request is sent."""
        name, argument = request.payload.get("do") or ("nothing", None)
        return getattr(self, f"_do_{name}")(argument)

    def _do_nothing(self, _argument):
        return None

    def _do_end_the_process(self, code):
        os._exit(code)

    def _do_sleep(self, seconds):
        time.sleep(seconds)

    def _do_compute(self, seconds):
        """Use up that much time of a processor."""
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    def _do_raise(self, name):
        raise {
            "SystemExit": SystemExit(3),
            "KeyboardInterrupt": KeyboardInterrupt(),
            "MemoryError": MemoryError(),
            "GeneratorExit": GeneratorExit(),  # ends a lane as a kill does
        }[name]

    def _do_recurse(self, _argument):
        return self._do_recurse(_argument)

    def _do_enlarge(self, size):
        return {"payload": {"text": "x" * size}}

    def _do_lack_files(self, _argument):
        """No further file or socket can be opened by this process."""
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))

    # What a dry run undoes or refuses

    def _do_stamp(self, _argument):
        """A value that is another one each time."""
        delivery = self.env["bwt.webhook.outbound.delivery"]
        delivery.search([], limit=1).name = f"stamped {uuid.uuid4()}"
        return {"payload": {"do": ["stamp", None], "uid": str(uuid.uuid4())}}

    def _do_write(self, partner_id):
        self.env["res.partner"].browse(partner_id).name = "written"
        self.env["res.partner"].create({"name": "created by a handler"})
        self.env.cr.postcommit.add(lambda: self._note("postcommit"))

    def _do_commit(self, partner_id):
        self._do_write(partner_id)
        self.env.cr.commit()

    def _do_commit_by_sql(self, partner_id):
        self._do_write(partner_id)
        self.env.cr.execute("COMMIT")

    def _do_cursor(self, partner_id):
        with self.env.registry.cursor() as cr:
            self.with_env(self.env(cr=cr))._do_write(partner_id)

    def _do_mail(self, port):
        server = self.env["ir.mail_server"].create(
            {"name": "x", "smtp_host": "127.0.0.1", "smtp_port": port}
        )
        mail = self.env["mail.mail"].create(
            {
                "subject": "x",
                "body_html": "x",
                "email_from": "a@example.com",
                "email_to": "b@example.com",
                "mail_server_id": server.id,
            }
        )
        mail.send(raise_exception=True)

    def _do_smtp(self, port):
        smtplib.SMTP("127.0.0.1", port, timeout=2)

    def _do_connect(self, port):
        socket.create_connection(("127.0.0.1", port), timeout=2)

    def _do_socket(self, port):
        with socket.socket() as connection:
            connection.connect(("127.0.0.1", port))

    def _do_resolve(self, _argument):
        socket.getaddrinfo("localhost", 80)

    def _do_process(self, _argument):
        subprocess.run(["true"], check=True)

    def _do_thread(self, _argument):
        threading.Thread(target=print).start()

    def _do_send(self, port):
        """With a connection that was opened before, as a kept session has one."""
        KEPT[port].sendall(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")

    def _do_tell(self, _argument):
        """Whether it is called by a dry run."""
        is_dry = bool(self.env.context.get("webhook_dry_run"))
        return {"payload": {"do": ["tell", None], "dry": is_dry}}

    def _note(self, what):
        NOTED.append(what)
