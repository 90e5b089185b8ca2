// Drift: each field of the records against the reference of the version.

import { h, s } from "./dom.js";
import { count, number, share } from "./format.js";
import { table } from "./parts.js";
import { nameOf } from "./text.js";

// A rule of thumb in credit scoring; what matters depends on the model.
const NOTEWORTHY = 0.1;
const LARGE = 0.25;
const BAR = { width: 120, height: 12, full: 0.5 };

/** The drift of the fields of a version, the greatest first. */
export function driftTable(version) {
  const fields = [...version.fields].sort((one, other) => greatest(other) - greatest(one));
  if (fields.length === 0) {
    return h("p", { class: "muted" }, "No field statistics of this version yet.");
  }
  return [
    h("p", { class: "muted" }, `Reference: ${referenceText(fields[0])}. Population stability index (PSI) over ten quantile `
      + `bins; as a rule of thumb, from ${NOTEWORTHY} it is worth a look, and from ${LARGE} the records have changed. Lately: the last `
      + "ten to twenty minutes."),
    table({
      caption: "Drift by field",
      rows: fields,
      key: (field) => field.name,
      columns: [
        { title: "Field", isHead: true, cell: (field) => nameOf(field.name) },
        { title: "PSI", isNumber: true, cell: psi },
        { title: "Lately", isNumber: true, cell: psiLately },
        { title: "Records", isNumber: true, cell: (field) => count(field.count) },
        { title: "Missing", isNumber: true, cell: (field) => compared(share(field.missing), field, share(field.referenceMissing)) },
        { title: "Mean", isNumber: true, cell: (field) => compared(number(field.mean), field, number(field.referenceMean)) },
      ],
    }),
  ];
}

function greatest(field) {
  return Math.max(field.psi ?? -1, field.psiLately ?? -1);
}

function referenceText(field) {
  if (field.source === "examples") return `the ${count(field.referenceCount)} examples of the model message`;
  if (field.source === "records") return `the first ${count(field.referenceCount)} records that the version scored`;
  return "none yet";
}

function compared(value, field, reference) {
  return field.source ? [value, h("span", { class: "note" }, ` was ${reference}`)] : value;
}

function judged(index) {
  return index >= LARGE ? ["bad", "changed"] : index >= NOTEWORTHY ? ["warn", "look"] : ["good", "stable"];
}

function psiLately(field) {
  if (field.psiLately === null) return h("span", { class: "muted" }, "not yet");
  const [kind, word] = judged(field.psiLately);
  return h("span", { class: `psi ${kind}` },
    h("span", { class: "psi-value" }, field.psiLately.toFixed(3)), h("span", { class: "psi-word" }, word));
}

function psi(field) {
  if (field.psi === null) return h("span", { class: "muted" }, "not yet");
  const [kind, word] = judged(field.psi);
  const width = Math.min(1, field.psi / BAR.full) * BAR.width;
  const mark = (at) => s("line", { class: "threshold", x1: (at / BAR.full) * BAR.width, x2: (at / BAR.full) * BAR.width, y1: 0, y2: BAR.height });
  return h("span", { class: `psi ${kind}` },
    s("svg", { width: BAR.width, height: BAR.height, "aria-hidden": "true" },
      s("rect", { class: "track", width: BAR.width, height: BAR.height, rx: 2 }),
      s("rect", { class: "fill", width: Math.max(width, 1), height: BAR.height, rx: 2 }),
      mark(NOTEWORTHY), mark(LARGE)),
    h("span", { class: "psi-value" }, field.psi.toFixed(3)), h("span", { class: "psi-word" }, word));
}
