/* global Chart */

import {Component, onWillStart, onWillUnmount, useEffect, useRef} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {formatInteger} from "@web/views/fields/formatters";
import {loadBundle} from "@web/core/assets";
import {resultColor} from "../js/result_colors";
import {sprintf} from "@web/core/utils/strings";

export const RESULTS = ["succeeded", "retried", "failed"];

export function resultLabels() {
  return {
    succeeded: _t("Succeeded"),
    retried: _t("Failed, retried"),
    failed: _t("Failed permanently"),
  };
}

function styleOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Attempts per hour or day, stacked by result, with the same figures as a table. */
export class AttemptsChart extends Component {
  static template = "bwt_webhooks_outbound.AttemptsChart";
  static props = {bars: Array, period: String};

  setup() {
    this.canvas = useRef("canvas");
    this.chart = null;
    this.results = RESULTS;
    this.labels = resultLabels();
    this.formatInteger = formatInteger;
    onWillStart(() => loadBundle("web.chartjs_lib"));
    useEffect(
      () => this.draw(),
      () => [this.props.bars, this.props.period]
    );
    onWillUnmount(() => this.chart?.destroy());
  }

  get caption() {
    return this.props.period === "hours"
      ? _t("Attempts per hour, last 24 hours")
      : _t("Attempts per day, last 30 days");
  }

  /** What the chart shows, for those who can't see it. */
  get summary() {
    const sums = RESULTS.map((result) =>
      this.props.bars.reduce((sum, bar) => sum + bar[result], 0)
    );
    const parts = RESULTS.map(
      (result, index) => `${this.labels[result]}: ${formatInteger(sums[index])}`
    );
    return sprintf(_t("%(caption)s. %(sums)s."), {
      caption: this.caption,
      sums: parts.join(", "),
    });
  }

  /** The newest first, without the empty ones. */
  get rows() {
    return this.props.bars
      .filter((bar) => RESULTS.some((result) => bar[result]))
      .reverse();
  }

  get data() {
    return {
      labels: this.props.bars.map((bar) => bar.label),
      datasets: RESULTS.map((result) => ({
        label: this.labels[result],
        data: this.props.bars.map((bar) => bar[result]),
        backgroundColor: resultColor(result),
        maxBarThickness: 40,
      })),
    };
  }

  draw() {
    if (this.chart) {
      // The same chart with new data, without an animation: nothing flickers.
      const {labels, datasets} = this.data;
      this.chart.data.labels = labels;
      datasets.forEach((each, index) => {
        this.chart.data.datasets[index].data = each.data;
      });
      this.chart.update("none");
      return;
    }
    const color = styleOf("--body-color") || styleOf("--bs-body-color");
    const ticks = {color, maxRotation: 0, autoSkipPadding: 12};
    this.chart = new Chart(this.canvas.el, {
      type: "bar",
      data: this.data,
      options: {
        animation: false,
        maintainAspectRatio: false,
        interaction: {mode: "index", intersect: false},
        plugins: {
          legend: {position: "bottom", labels: {color, boxWidth: 12}},
          tooltip: {
            callbacks: {title: ([item]) => this.props.bars[item.dataIndex].title},
          },
        },
        scales: {
          x: {stacked: true, grid: {display: false}, ticks},
          y: {stacked: true, beginAtZero: true, ticks: {...ticks, precision: 0}},
        },
      },
    });
  }
}
