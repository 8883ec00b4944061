import {GraphRenderer} from "@web/views/graph/graph_renderer";
import {SEP} from "@web/views/graph/graph_model";
import {graphView} from "@web/views/graph/graph_view";
import {registry} from "@web/core/registry";
import {resultColor} from "./result_colors";

const RESULTS = {
  done: "succeeded",
  error: "retried",
  dead_letter: "failed",
  queued: "waiting",
  processing: "in-flight",
};
const OTHER = {draft: "#ced4da", canceled: "#868e96"};

/** Odoo's graph with one fixed colour per state: done is green, whatever else is shown. */
class ResultsGraphRenderer extends GraphRenderer {
  /** The colour of a group by its label, if groups are states. */
  colorOf(label, first) {
    const {fields, groupBy} = this.model.metaData;
    const place = groupBy.findIndex(({fieldName}) => fieldName === "state") - first;
    if (place < 0 || !label) {
      return null;
    }
    const shown = label.split(SEP)[place];
    const found = fields.state.selection.find(([, name]) => name === shown);
    if (!found) {
      return null;
    }
    return resultColor(RESULTS[found[0]]) || OTHER[found[0]];
  }

  getBarChartData() {
    const data = super.getBarChartData();
    for (const dataset of data.datasets) {
      dataset.backgroundColor =
        this.colorOf(dataset.label, 1) || dataset.backgroundColor;
    }
    return data;
  }

  getLineChartData() {
    const data = super.getLineChartData();
    for (const dataset of data.datasets) {
      const color = this.colorOf(dataset.label, 1);
      if (color) {
        Object.assign(dataset, {
          backgroundColor: color,
          borderColor: color,
          hoverBackgroundColor: color,
          pointBackgroundColor: color,
        });
      }
    }
    return data;
  }

  getPieChartData() {
    const data = super.getPieChartData();
    for (const dataset of data.datasets) {
      const colors = dataset.backgroundColor.map(
        (color, index) => this.colorOf(data.labels[index], 0) || color
      );
      Object.assign(dataset, {backgroundColor: colors, hoverBackgroundColor: colors});
    }
    return data;
  }
}

registry
  .category("views")
  .add("webhook_results_graph", {...graphView, Renderer: ResultsGraphRenderer});
