import {registry} from "@web/core/registry";
import {
  JournalDashboardGraphField,
  journalDashboardGraphField,
} from "@web/views/fields/journal_dashboard_graph/journal_dashboard_graph_field";
import {resultColor} from "./result_colors";

/**
 * Odoo's dashboard graph with two series, stacked: attempts that succeeded (2xx),
 * and attempts that failed. A caption has their sums.
 */
class AttemptsGraph extends JournalDashboardGraphField {
  renderChart() {
    // Odoo's graph reads its data only once, but a form shows one record after another.
    this.data = JSON.parse(this.props.record.data[this.props.name]);
    this.canvasRef.el.setAttribute("role", "img");
    this.canvasRef.el.setAttribute("aria-label", this.data[0].caption);
    super.renderChart();
  }

  getBarChartConfig() {
    const config = super.getBarChartConfig();
    const {options} = config;
    config.data.datasets = ["succeeded", "failed"].map((result, index) => ({
      label: this.data[index].key,
      data: this.data[index].values.map(({value}) => value),
      backgroundColor: resultColor(result),
    }));
    options.scales.y.stacked = true;
    // A base line only: the tooltip has the hour.
    options.scales.x = {stacked: true, grid: {display: false}, ticks: {display: false}};
    options.plugins.title = {
      display: true,
      position: "bottom",
      font: {weight: "normal"},
      text: this.data[0].caption,
    };
    return config;
  }
}

registry.category("fields").add("webhook_attempts_graph", {
  ...journalDashboardGraphField,
  component: AttemptsGraph,
});
