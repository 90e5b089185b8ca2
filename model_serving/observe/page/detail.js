// The view of one data type: what serves, how fast, how well, what was refused, and what can be done.

import { timeChart } from "./charts.js";
import { h } from "./dom.js";
import { driftTable } from "./drift.js";
import { bytes, count, duration, moment, number } from "./format.js";
import { known, nameOfDetail } from "./knowledge.js";
import { letterList } from "./letters.js";
import { deadLetterTotal, failureNotice, model, section, table, tile, time } from "./parts.js";
import { resultsSideBySide } from "./results.js";
import { modelTypeName } from "./shapes.js";
import { nameOf, sentenceOf } from "./text.js";

/** Returns the view; `actions` are `rollback()`, `remove()`, `upload` and `score` (forms), `width` is in pixels. */
export function detailView(now, width, actions) {
  const { detail } = known;
  const heading = h("h1", { tabindex: -1 }, h("span", { class: "kind" }, "Data type "), nameOf(nameOfDetail()));
  const back = h("p", { class: "back" }, h("a", { href: "#/" }, "All data types"));
  if (!detail.loaded) return [back, heading, h("p", { class: "muted" }, "Loading …")];
  if (detail.overview === null) return [back, heading, unknown(detail, actions)];
  const { overview, versions } = detail;
  return [
    back,
    heading,
    failureNotice(detail, known.updatedAt),
    servingLine(overview, now),
    figures(overview),
    section("course", "Over time", h("p", { class: "muted" }, "Latency is from the record's own time to its result. A triangle marks a model swap."), charts(detail, now, width)),
    section("results", "Results of the versions", resultsSideBySide(versions)),
    section("drift", "Drift by field", driftOf(versions)),
    section("versions", "Versions", versionsTable(versions, now), versionActions(overview, versions, actions)),
    section("refused", "Refused models", refusedList(overview.rejected)),
    section("letters", "Newest dead letters", letterList(detail.letters, "There is no dead letter of this data type.")),
    h("div", { class: "forms", key: "forms" }, actions.score(versions), actions.upload()),
  ];
}

function unknown(detail, actions) {
  if (!detail.isUnknown) return h("p", { class: "notice bad" }, detail.failure);
  return [
    h("p", { class: "notice" }, "Nothing is known of this data type. It appears as soon as a model is published for it."),
    h("div", { class: "forms", key: "forms" }, actions.upload()),
  ];
}

function servingLine({ serving, state }, now) {
  if (!serving) {
    return h("p", { class: "notice bad" }, state === "REMOVED"
      ? "No model serves: it was removed. Records wait or go to the dead letters."
      : "No model serves. Records wait or go to the dead letters.");
  }
  const kind = [modelTypeName(serving.modelType), serving.size ? bytes(serving.size) : null].filter(Boolean).join(", ");
  return h("div", { class: "serving panel", key: "serving" },
    h("p", { class: "serving-model" }, h("span", { class: "good mark" }, "Serves"), " ", model(serving.name, serving.version),
      " since ", time(serving.since, now),
      serving.previous ? [", replaces ", h("span", { class: "version" }, nameOf(serving.previous))] : null),
    serving.description ? h("p", {}, sentenceOf(serving.description)) : null,
    h("p", { class: "muted" }, kind, serving.loadMs ? `, loaded in ${duration(serving.loadMs)}` : null,
      serving.sha256 ? [", SHA-256 ", h("code", { class: "digest" }, nameOf(serving.sha256))] : null));
}

function figures(overview) {
  const { latency, scoring } = overview;
  const dead = deadLetterTotal(overview.deadLetters);
  return h("dl", { class: "tiles", key: "tiles" },
    tile("Throughput", number(overview.throughput), "records/s"),
    tile("Latency p50", duration(latency.p50), `p90 ${duration(latency.p90)}`),
    tile("Latency p99", duration(latency.p99), `p99.9 ${duration(latency.p999)}`),
    tile("In the model p50", duration(scoring.p50), `p99 ${duration(scoring.p99)}`),
    tile("Scored", count(overview.scored), "by this version"),
    tile("Failed", count(overview.failed), overview.missing ? `${count(overview.missing)} for missing values` : null,
      overview.failed > 0 ? "has-bad" : null),
    tile("Waiting", count(overview.waiting), "without a model", overview.waiting > 0 ? "has-bad" : null),
    tile("Dead letters", count(dead.total), dead.reasons, dead.total > 0 ? "has-bad" : null));
}

function charts(detail, now, width) {
  const { samples, swaps, intervalMs } = detail.series;
  const shared = { samples, swaps, intervalMs, width, now };
  return [
    h("div", { class: "charts" },
      timeChart({ ...shared, title: "Throughput", lines: [{ label: "records", key: "throughput" }], format: shortRate }),
      timeChart({
        ...shared, title: "Latency",
        lines: [{ label: "p50", key: "p50" }, { label: "p99", key: "p99" }], format: duration,
      })),
    swaps.length === 0 ? null : h("details", { class: "swaps" },
      h("summary", {}, `Model swaps (${count(swaps.length)})`),
      h("ol", {}, [...swaps].reverse().slice(0, 50).map((swap) => h("li", {},
        `${moment(swap.at)}: `, swap.version ? model(swap.name, swap.version) : "removed",
        swap.previous ? [" in place of ", h("span", { class: "version" }, nameOf(swap.previous))] : null)))),
  ];
}

function shortRate(value) {
  return `${number(value)}/s`;
}

function driftOf(versions) {
  const version = versions.find((one) => one.serving) ?? versions[0];
  if (!version) return h("p", { class: "muted" }, "No version has served yet.");
  return [h("p", {}, version.serving ? "Of the version that serves: " : "Of the last version: ", model(version.name, version.version)),
    driftTable(version)];
}

function versionsTable(versions, now) {
  if (versions.length === 0) return h("p", { class: "muted" }, "No version has served yet.");
  const p50AndP99 = (one) => `${duration(one.p50)} / ${duration(one.p99)}`;
  return table({
    caption: "Versions that served, the newest first",
    rows: versions,
    key: (one) => `${one.name} ${one.version} ${one.modelType}`,
    rowClass: (one) => (one.serving ? "serves" : null),
    columns: [
      { title: "Version", isHead: true, cell: (one) => [model(one.name, one.version), one.serving ? h("span", { class: "good mark" }, "serves") : null] },
      { title: "Kind", cell: (one) => modelTypeName(one.modelType) },
      { title: "Since", cell: (one) => time(one.since, now) },
      { title: "Until", cell: (one) => (one.until ? time(one.until, now) : h("span", { class: "muted" }, one.serving ? "now" : "–")) },
      { title: "Scored", isNumber: true, cell: (one) => count(one.scored) },
      { title: "Failed", isNumber: true, cell: (one) => h("span", { class: one.failed > 0 ? "bad" : null }, count(one.failed)) },
      { title: "In the model p50 / p99", isNumber: true, cell: (one) => p50AndP99(one.scoring) },
      { title: "Latency p50 / p99", isNumber: true, cell: (one) => p50AndP99(one.latency) },
    ],
  });
}

function versionActions({ serving }, versions, actions) {
  if (!serving) return null;
  const hasBefore = Boolean(serving.previous);
  return h("div", { class: "actions", key: "version-actions" },
    h("button", { type: "button", "aria-disabled": hasBefore ? null : "true", onclick: () => hasBefore && actions.rollback(serving) },
      hasBefore ? ["Roll back to ", nameOf(serving.previous, { whole: false })] : "Roll back"),
    hasBefore ? null : h("span", { class: "muted" }, "There is no version before this one."),
    h("button", { type: "button", class: "danger", onclick: () => actions.remove(serving) }, "Stop serving"));
}

function refusedList(rejected) {
  if (rejected.length === 0) return h("p", { class: "muted" }, "No model was refused since the present one began to serve.");
  return h("ul", { class: "refused" }, rejected.map((one) => h("li", { key: `${one.at} ${one.version}` },
    h("p", {}, h("strong", { class: "bad" }, "Refused "), model(one.name, one.version), " ", h("time", { class: "muted" }, moment(one.at))),
    h("p", {}, sentenceOf(one.reason)))));
}
