// Pieces that several views use.

import { fitsAddress } from "./api.js";
import { h } from "./dom.js";
import { ago, clockWithZone, count, moment, shortMoment } from "./format.js";
import { nameOf } from "./text.js";

/** A link to the view of a data type. A name that no address can carry is linked by its id, if that is known. */
export function dataTypeLink(dataType, id) {
  const address = fitsAddress(dataType) ? dataType : id;
  const shown = nameOf(dataType, { whole: false });
  return address ? h("a", { href: `#/data-types/${encodeURIComponent(address)}` }, shown) : shown;
}

/** A table whose rows become cards on narrow screens; `columns` are `{title, isNumber, cell(row), isHead}`. */
export function table({ caption, columns, rows, key, isCaptionHidden = true, rowClass = () => null }) {
  // Roles are said, because a table that is laid out as cards loses its own in some browsers.
  return h("table", { class: "cards", role: "table" },
    h("caption", { class: isCaptionHidden ? "visually-hidden" : null }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map((column) =>
      h("th", { role: "columnheader", scope: "col", class: column.isNumber ? "number" : null }, column.title)))),
    h("tbody", { role: "rowgroup" }, rows.map((row, index) =>
      h("tr", { role: "row", key: `row ${key ? key(row, index) : index}`, class: rowClass(row) },
        columns.map((column) => cellOf(column, row))))));
}

function cellOf(column, row) {
  const attributes = { class: column.isNumber ? "number" : null, "data-title": column.title };
  return column.isHead
    ? h("th", { ...attributes, role: "rowheader", scope: "row" }, h("div", {}, column.cell(row)))
    : h("td", { ...attributes, role: "cell" }, h("div", {}, column.cell(row)));
}

/** A figure with its name. */
export function tile(title, value, note = null, kind = null) {
  return h("div", { class: kind ? `tile ${kind}` : "tile" },
    h("dt", {}, title), h("dd", { class: "figure" }, value), note ? h("dd", { class: "note" }, note) : null);
}

/** A time of day, with its date if that is not today's; its title has both, and how long ago it was. */
export function time(ms, now) {
  if (!ms) return h("span", { class: "muted" }, "–");
  return h("time", { datetime: new Date(ms).toISOString(), title: `${moment(ms)}, ${ago(ms, now)}` }, shortMoment(ms, now));
}

/** Name and version of a model. */
export function model(name, version) {
  return h("span", { class: "model" }, nameOf(name), " ", h("span", { class: "version" }, nameOf(version, { missing: "" })));
}

/** How many dead letters there are in all, and a text with the number of each reason. */
export function deadLetterTotal(counts) {
  const entries = Object.entries(counts).filter(([, number]) => number > 0);
  const total = entries.reduce((sum, [, number]) => sum + number, 0);
  const reasons = entries.length === 1
    ? reasonText(entries[0][0])
    : entries.map(([reason, number]) => `${reasonText(reason)} ${count(number)}`).join(", ");
  return { total, reasons };
}

const REASONS = {
  UNPARSABLE: "unparsable",
  INVALID_RECORD: "invalid record",
  NO_MODEL: "no model",
  SCORING_FAILED: "scoring failed",
  MODEL_REJECTED: "model refused",
  UNSPECIFIED: "no reason given",
};

/** The reason of a dead letter in words. */
export function reasonText(reason) {
  return REASONS[reason] ?? String(reason);
}

/** Says that a part could not be loaded, and since when its figures are old. */
export function failureNotice(part, updatedAt) {
  if (part.failure === null || part.isUnknown) return null;
  const old = updatedAt ? ` What is shown is from ${clockWithZone(updatedAt)}.` : "";
  return h("p", { class: "notice bad", key: "failure" }, `${part.failure}${old} Trying again.`);
}

/** A section with a heading of level two. */
export function section(id, title, ...content) {
  return h("section", { "aria-labelledby": `${id}-title`, class: "panel", id, key: id },
    h("h2", { id: `${id}-title` }, title), content);
}
