# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The pictures of the tutorial, taken from what its own data file makes.

Run by `make screenshots`, with Odoo's Python. The order is sent to a receiver.
"""

import re

from tools import pytest_paths  # noqa: F401  sets the path of receiver
from tools.console import say
from tools.databases import SHOP_MODULES
from tools.odoo_server import free_port
from tools.screenshots import DESKTOP, compressed, screens
from tools.workspace import ADDON, REPOSITORY

from receiver import Receiver  # isort: skip

FOLDER = REPOSITORY / "docs" / "pictures"
TUTORIAL = REPOSITORY / "docs" / "tutorial.md"
HEIGHT = 1000  # pixels: the whole form of the action

DATA = """
import io, json
from odoo import Command
from odoo.tools.convert import convert_xml_import

file = io.BytesIO({xml!r}.encode())
file.name = "tutorial.xml"
convert_xml_import(env, "bwt_webhooks_outbound", file, {{}}, "init")
env["ir.config_parameter"].set_param(
    "bwt_webhooks_outbound.allowed_networks", "127.0.0.0/8"
)
endpoint = env.ref("bwt_webhooks_outbound.endpoint_orders")
endpoint.target_hostname = {url!r}
partner = env["res.partner"].create({{"name": "Azure Interior"}})
products = env["product.product"].create([
    {{"name": name, "default_code": code, "taxes_id": [Command.clear()]}}
    for name, code in (("Chair", "CHAIR-1"), ("Desk", "DESK-2"))
])
order = env["sale.order"].create({{
    "name": "S00042", "partner_id": partner.id,
    "order_line": [Command.create({{
        "product_id": product.id, "product_uom_qty": count, "price_unit": 10.5,
        "tax_ids": [Command.clear()],
    }}) for count, product in enumerate(products, 1)],
}})
env.cr.commit()
order.action_confirm()
delivery = env["bwt.webhook.outbound.delivery"].search([])
delivery.process_delivery()
env.cr.execute("DELETE FROM queue_job")
env.cr.commit()
action = env.ref("bwt_webhooks_outbound.action_confirmed")
print(json.dumps({{"action": action.id, "delivery": delivery.id}}))
"""


def take(browser, url, ids):
    """Take the pictures; `ids`: records by name."""
    width, _height = DESKTOP
    browser.size(width, HEIGHT)
    browser.log_in(url)
    browser.open(f"{url}/odoo/m-ir.actions.server/{ids['action']}", ".o_form_view")
    browser.wait(".o_field_widget[name=bwt_webhook_sample] .ace_line")
    browser.run("document.querySelector('[name=bwt_webhook_main]').scrollIntoView()")
    browser.wait(".ace_line")
    save("tutorial-action", browser.picture())
    browser.size(*DESKTOP)
    action = f"action-{ADDON}.action_webhook_outbound_delivery"
    browser.open(f"{url}/odoo/{action}/{ids['delivery']}", ".o_form_view")
    save("tutorial-delivery", browser.picture())


def save(name, picture):
    """Store a picture of a guide."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.png"
    compressed(picture).save(path, optimize=True)
    say(f"wrote {path.relative_to(REPOSITORY)}")


def main():
    """Send the tutorial's order beside Sales, then take the pictures."""
    [xml] = re.findall(r"^```xml\n(.*?)^```", TUTORIAL.read_text(), re.M | re.S)
    with Receiver(free_port(18069)) as receiver:
        script = DATA.format(xml=xml, url=receiver.url)
        with screens("guide_pictures", script, beside=SHOP_MODULES) as shown:
            take(*shown)


if __name__ == "__main__":
    main()
