# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Pages are as accessible as Odoo's own, as axe-core sees it."""

import json
import os
from pathlib import Path
from unittest import SkipTest

from odoo.tests import HttpCase, tagged

from odoo.addons.bwt_webhooks_outbound.models.ir_actions_server import STATE
from odoo.addons.bwt_webhooks_outbound.tests.constants import (
    ATTEMPT,
    DELIVERY,
    ENDPOINT,
    FORGET,
    HANDLER,
    RECONCILIATION,
    RUN,
)

AXE = Path(os.environ.get("NODE_PATH", ""), "axe-core", "axe.min.js")
# Opens each page in one session, and reports rules that ours violate and Odoo's don't.
CHECK = """
const {script, odoos, ours} = %s;
const env = odoo.__WOWL_DEBUG__.root.env;

async function until(selector) {
  while (!document.querySelector(selector) || document.querySelector(".o_blockUI")) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Violations of one page, by rule. */
async function violations({action, shows}) {
  await env.services.action.doAction(action, {clearBreadcrumbs: true});
  await until(shows);
  const found = {};
  const tabs = [...document.querySelectorAll(".o_notebook .nav-link")];
  for (const link of tabs.length ? tabs : [null]) {
    if (link) {
      link.click();
      await until(".tab-pane.active");
    }
    const result = await axe.run(
      // Odoo's widget of references: its list of models has no place for a label.
      {include: [".o_action_manager"], exclude: [".o_field_reference select"]},
      {resultTypes: ["violations"]}
    );
    for (const {id, nodes} of result.violations) {
      found[id] ||= nodes.map((node) => node.html.slice(0, 200));
    }
  }
  return found;
}

(async () => {
  const element = document.createElement("script");
  element.textContent = await (await fetch(script)).text();
  document.head.append(element);
  const known = new Set();
  for (const page of odoos) {
    Object.keys(await violations(page)).forEach((rule) => known.add(rule));
  }
  console.log(`Odoo's own: ${[...known]}`);
  const faults = [];
  for (const page of ours) {
    for (const [rule, places] of Object.entries(await violations(page))) {
      if (!known.has(rule)) {
        faults.push(`${page.name}: ${rule}: ${places.slice(0, 3).join(" | ")}`);
      }
    }
  }
  if (faults.length) {
    console.error(faults.join("\\n"));
  } else {
    console.log("test successful");
  }
})().catch((error) => console.error(String(error)));
"""


@tagged("post_install", "-at_install", "any_database")
class TestAccessibility(HttpCase):
    def test_no_violation_that_odoo_has_not(self):
        """No page of ours breaks a rule that Odoo's own forms keep.

        Icons without a text, fields without a label, lists of wrong parts: they shut
        out users of screen readers, and nobody else sees them.
        """
        if not AXE.is_file():
            self.skipTest("needs axe-core on NODE_PATH")
        endpoint = self.env[ENDPOINT].create(
            {
                "name": "Axe: shop orders",
                "code": "axe-shop-orders",
                "target_hostname": "http://127.0.0.1:9",
                "payload_rule_ids": [
                    (0, 0, {"target_path": "a", "literal_value": "1"})
                ],
                "header_rule_ids": [
                    (0, 0, {"header_name": "X-A", "literal_value": "1"})
                ],
            }
        )
        handler = self.env[HANDLER].create({"name": "Axe", "code": "axe"})
        delivery = self.env[DELIVERY].create({"endpoint_id": endpoint.id})
        files = {"a": {"filename": "a.txt", "content": b"a"}}
        endpoint.request_body_mode = "multipart"
        failed = endpoint.queue_delivery({}, files=files).sudo()
        failed.process_delivery()  # the address is refused
        action = self.env["ir.actions.server"].create(
            {
                "name": "Axe",
                "model_id": self.env["ir.model"]._get_id("res.partner"),
                "state": STATE,
                "bwt_webhook_endpoint_id": endpoint.id,
            }
        )
        forget = self.env[FORGET].create(
            {"partner_id": self.env.ref("base.main_partner").id}
        )
        partner = self.env.ref("base.main_partner")
        domain = str([("id", "=", partner.id)])
        run = endpoint.backfill(action, domain)
        reconciliation = self.env[RECONCILIATION].create(
            {"action_id": action.id, "domain": domain, "since_days": 0}
        )
        reconciliation.action_check()
        reconciliation.run_check()
        result = self.env[f"{RECONCILIATION}.result"].search(
            [("reconciliation_id", "=", reconciliation.id)]
        )
        self.assertEqual(partner.id, result.res_id)
        # Our forms have messages and changed values, too.
        partner.message_post(body=partner.name)
        partner.email = "axe@example.com"
        self.env.flush_all()
        self.env.cr.precommit.run()
        script = self.env["ir.attachment"].create(
            {
                "name": "axe.js",
                "raw": AXE.read_bytes(),
                "mimetype": "application/javascript",
            }
        )
        pages = {
            "script": f"/web/content/{script.id}",
            "odoos": [
                self.page("res.partner", "list"),
                self.page(
                    "res.partner", "list", context={"search_default_type_company": 1}
                ),
                self.page("res.partner", "form", partner)
                | {"shows": ".o-mail-Message-tracking"},  # they are loaded later
                self.page("ir.cron", "form", self.env.ref("base.autovacuum_job")),
                self.settings("base_setup.action_general_configuration"),
            ],
            "ours": [
                {
                    "name": "Overview",
                    "action": "bwt_webhooks_outbound.action_webhook_outbound_overview",
                    "shows": ".o_bwt_webhook_overview canvas",
                },
                self.page(ENDPOINT, "list"),
                self.page(ENDPOINT, "form", endpoint),
                self.page(DELIVERY, "list"),
                self.page(DELIVERY, "form", delivery),
                self.page(DELIVERY, "form", failed),
                self.page(ATTEMPT, "form", failed.attempt_ids),
                {
                    "name": "Needs Attention",
                    "action": "bwt_webhooks_outbound.action_webhook_outbound_attention",
                    "shows": ".o_webhook_group_buttons",
                },
                self.page(HANDLER, "list"),
                self.page(HANDLER, "form", handler),
                self.page(RUN, "list"),
                self.page(RUN, "form", run),
                self.page(RECONCILIATION, "list"),
                self.page(RECONCILIATION, "form", reconciliation),
                # Users open a result as its record: there is no form of our own.
                self.page(result._name, "list"),
                self.page("ir.actions.server", "form", action),
                self.page(FORGET, "form", forget),
                self.settings("bwt_webhooks_outbound.action_webhook_settings"),
            ],
        }
        try:
            self.browser_js(
                "/odoo",
                CHECK % json.dumps(pages),
                "odoo.isReady === true",
                login="admin",
                timeout=180,
            )
        except SkipTest as reason:
            self.fail(f"the pages were not opened: {reason}")

    def page(self, model, kind, record=None, context=None):
        return {
            "name": f"{model} {kind}",
            "action": {
                "type": "ir.actions.act_window",
                "res_model": model,
                "views": [[False, kind]],
                "context": context or {},
                **({"res_id": record.id} if record else {}),
            },
            "shows": f".o_{kind}_view .o_{kind}_renderer",
        }

    def settings(self, action):
        return {
            "name": action,
            "action": action,
            "shows": ".o_form_view.o_settings_container, .o_setting_container",
        }
