# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import hmac

from odoo import SUPERUSER_ID, http

from ..models.metrics import metrics_text
from ..models.res_config_settings import option_of_odoo_conf
from ..services.exposition import CONTENT_TYPE

PATH = "/bwt_webhooks/metrics"
TOKEN_OPTION = "metrics_token"


class Metrics(http.Controller):
    # Not on a read replica: the locks of lanes and runner are those of the primary.
    @http.route(
        PATH,
        type="http",
        auth="none",
        methods=["GET"],
        save_session=False,
        readonly=False,
    )
    def metrics(self, **_parameters):
        """Figures of all endpoints for Prometheus; off without a token in odoo.conf.

        Of the database that Odoo chooses for the host name of the request, as for any
        other page, or that the header X-Odoo-Database names. The token is the server's:
        it reads the figures of each database that the host name allows.
        """
        token = option_of_odoo_conf(TOKEN_OPTION).strip()
        if not token:
            return _refused(404)
        given = http.request.httprequest.headers.get("Authorization", "")
        scheme, _space, value = given.partition(" ")
        # As bytes, as they came: texts outside ASCII can't be compared this way.
        value = value.strip().encode("latin-1", "replace")
        is_known = hmac.compare_digest(value, token.encode())
        if scheme.lower() != "bearer" or not is_known:
            return _refused(401, [("WWW-Authenticate", "Bearer")])
        env = http.request.env(user=SUPERUSER_ID, su=True)
        headers = [("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store")]
        return http.request.make_response(metrics_text(env), headers)


def _refused(status, headers=()):
    """A response without a page, which would read the database."""
    headers = [("Content-Type", "text/plain"), *headers]
    return http.request.make_response("", headers, status=status)
