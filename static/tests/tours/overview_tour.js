import {registry} from "@web/core/registry";

const PAGE = ".o_bwt_webhook_overview";
const GROUP = `${PAGE} .o_bwt_webhook_failures li[data-reason="http_404"]`;
const OPEN = `${PAGE} .o_bwt_webhook_endpoints li[data-health="circuit_open"]`;

registry.category("web_tour.tours").add("webhooks_overview", {
  steps: () => [
    {
      content: "The link leads to the Overview, whose chart says what it shows",
      trigger: `${PAGE} canvas[aria-label*="Succeeded: 1, Failed, retried: 0, Failed permanently: 2"]`,
      run() {
        if (!document.title.includes("Overview")) {
          throw new Error(`The page is called ${document.title}`);
        }
        const [page] = document.querySelectorAll(".o_content");
        if (page.scrollWidth > page.clientWidth) {
          throw new Error("The page is wider than the screen");
        }
        for (const button of page.querySelectorAll("button")) {
          if (!button.name || !(button.ariaLabel || button.textContent.trim())) {
            throw new Error(`A button without a name: ${button.outerHTML}`);
          }
        }
      },
    },
    {content: "Attempts", trigger: `${PAGE} [data-name="attempts"] .h3:contains("3")`},
    {
      content: "Success rate",
      trigger: `${PAGE} [data-name="success_rate"] .h3:contains("33.3")`,
    },
    {
      content: "Show 30 days",
      trigger: "button[name=period_days]",
      run: "click",
    },
    {
      content: "30 days are shown",
      trigger: `${PAGE} figcaption:contains("30 days")`,
    },
    {
      content: "The same as a table",
      trigger: `${PAGE} details summary`,
      run: "click",
    },
    {content: "It has one day", trigger: `${PAGE} details[open] tbody tr:only-child`},
    {
      content: "Both failures are one group, with the message",
      trigger: `${GROUP}:contains("Tour: shop orders"):contains("nothing was found")`,
    },
    {content: "Retry", trigger: `${GROUP} button[name=retry]`, run: "click"},
    {content: "It says how many", trigger: ".o_notification:contains('2 queued again')"},
    {
      content: "The group is gone",
      trigger: `${PAGE}:not(:has(.o_bwt_webhook_failures))`,
    },
    {
      content: "An operator closes the circuit of the other endpoint",
      trigger: `${OPEN} button[name=close_circuit]`,
      run: "click",
    },
    {
      content: "The endpoint doesn't wait any more",
      trigger: `${PAGE}:not(:has(.o_bwt_webhook_endpoints))`,
    },
  ],
});
