# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A handler that does to its worker whatever the payload says."""

import os
import resource
import time

from odoo import api, models

from odoo.addons.bwt_webhooks_outbound.callback import webhook_callback


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
