// What the versions answered, side by side: the shares of the classes, or a histogram.

import { h, s } from "./dom.js";
import { count, number, share } from "./format.js";
import { plainName } from "./text.js";
import { model } from "./parts.js";

const MOST_VERSIONS = 4;
const MOST_CLASSES = 12;
const ROW = 22;
const HISTOGRAM = { width: 420, height: 150, bottom: 22 };

/** The distributions of the results of the newest versions that have any. */
export function resultsSideBySide(versions) {
  const shown = versions.filter((version) => version.scored > 0).slice(0, MOST_VERSIONS);
  if (shown.length === 0) return h("p", { class: "muted" }, "No results yet.");
  const classes = classesOf(shown);
  const range = rangeOf(shown);
  return h("div", { class: "side-by-side" }, shown.map((version) =>
    h("figure", { class: "distribution", key: `${version.name} ${version.version} ${version.since}` },
      h("figcaption", {}, model(version.name, version.version),
        h("span", { class: "note block" }, `${count(version.scored)} results, mean ${number(version.results.mean)}, `
          + `deviation ${number(version.results.deviation)}`)),
      version.results.labels.length > 0 ? bars(version, classes) : histogram(version, range))));
}

/** The labels of all shown versions in one order, so that rows can be compared. */
function classesOf(versions) {
  const totals = new Map();
  for (const version of versions) {
    for (const [label, records] of version.results.labels) totals.set(label, (totals.get(label) ?? 0) + records);
  }
  const greatest = [...totals].sort((one, other) => other[1] - one[1]).slice(0, MOST_CLASSES).map(([label]) => label);
  return greatest.sort((one, other) => one.localeCompare(other, undefined, { numeric: true }));
}

function bars(version, classes) {
  const records = new Map(version.results.labels);
  const total = version.results.labels.reduce((sum, [, one]) => sum + one, 0) + version.results.otherLabels;
  const rows = classes.map((label) => [label, records.get(label) ?? 0]);
  const rest = total - rows.reduce((sum, [, one]) => sum + one, 0);
  if (rest > 0) rows.push([null, rest]);
  return h("table", { class: "bars" },
    h("caption", { class: "visually-hidden" }, `Results by class of version ${plainName(version.version)}`),
    h("thead", { class: "visually-hidden" }, h("tr", {}, ["Class", "Bar", "Results"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, rows.map(([label, one]) => h("tr", {},
      h("th", { scope: "row", title: label === null ? null : plainName(label) }, label === null ? "other classes" : shortLabel(label)),
      h("td", {}, bar(total ? one / total : 0)),
      h("td", { class: "number" }, total ? share(one / total) : "–", h("span", { class: "note" }, ` ${count(one)}`))))));
}

function shortLabel(label) {
  return h("bdi", { class: "label" }, plainName(label));
}

function bar(part) {
  return s("svg", { viewBox: `0 0 100 ${ROW - 8}`, preserveAspectRatio: "none", class: "bar", "aria-hidden": "true" },
    s("rect", { class: "track", width: 100, height: ROW - 8 }),
    s("rect", { class: "series-1 fill", width: part * 100, height: ROW - 8 }));
}

/** The extremes of all shown versions, so that the histograms have one axis. */
function rangeOf(versions) {
  const bins = versions.flatMap((version) => version.results.histogram);
  return { from: Math.min(...bins.map((bin) => bin.from)), to: Math.max(...bins.map((bin) => bin.to)) };
}

function histogram(version, range) {
  const bins = version.results.histogram;
  if (bins.length === 0) return h("p", { class: "muted" }, "No histogram.");
  const span = range.to - range.from || 1;
  const { width, height, bottom } = HISTOGRAM;
  const x = (value) => (range.to === range.from ? 0 : ((value - range.from) / span) * width);
  // The area of a bar is its share, because the bins of two versions differ in width.
  const density = (bin) => bin.count / Math.max(bin.to - bin.from, span / 1000);
  const most = Math.max(...bins.map(density)) || 1;
  const label = `Histogram of the results of version ${plainName(version.version)}, from ${number(bins[0].from)} `
    + `to ${number(bins.at(-1).to)}, mean ${number(version.results.mean)}`;
  return s("svg", { viewBox: `0 0 ${width} ${height}`, class: "histogram", role: "img", "aria-label": label },
    bins.map((bin) => {
      const size = (density(bin) / most) * (height - bottom - 4);
      return s("rect", {
        class: "series-1 fill", x: x(bin.from), y: height - bottom - size,
        width: Math.max(range.to === range.from ? width : x(bin.to) - x(bin.from) - 1, 1.5), height: size,
      }, s("title", {}, `${number(bin.from)} to ${number(bin.to)}: ${count(bin.count)}`));
    }),
    s("line", { class: "axis", x1: 0, x2: width, y1: height - bottom, y2: height - bottom }),
    s("text", { class: "tick", x: 0, y: height - 5 }, number(range.from)),
    s("text", { class: "tick", x: width, y: height - 5, "text-anchor": "end" }, number(range.to)));
}
