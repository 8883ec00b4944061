# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import http

from ..lane.diagnostics import PATH, proof


class RunnerCheck(http.Controller):
    @http.route(PATH, type="http", auth="none", methods=["GET"], save_session=False)
    def runner_check(self, nonce="", **_parameters):
        """Prove that a request reached this database; see lane/diagnostics.py.

        Open to everybody, as queue_job's own route is: it reads one parameter, and the
        response serves nothing else.
        """
        text = proof(http.request.env(su=True), nonce[:64])
        return http.request.make_response(text, [("Content-Type", "text/plain")])
