// What can be done with a data type: upload a model, roll back, stop serving, score one record.

import { addressOf, command } from "./api.js";
import { ask, withToken } from "./dialogs.js";
import { h, render } from "./dom.js";
import { number } from "./format.js";
import { model } from "./parts.js";
import { scoreFrom } from "./shapes.js";
import { nameOf } from "./text.js";

/** Asks, then rolls back to the version before. */
export async function rollback(dataType, serving) {
  const agreed = await ask("Roll back?", h("p", {}, "Version ", nameOf(serving.previous), " will serve ", nameOf(dataType),
    " again in place of ", nameOf(serving.version), "."), "Roll back");
  if (agreed) await run(() => command("POST", addressOf(dataType, "rollback")), "The rollback is published.");
}

/** Asks, then removes the model. */
export async function remove(dataType, serving) {
  const agreed = await ask("Stop serving?", h("p", {}, "No model will serve ", nameOf(dataType), " after ",
    nameOf(serving.version), " is removed. Records then wait or go to the dead letters."), "Stop serving", { isDanger: true });
  if (agreed) await run(() => command("DELETE", addressOf(dataType)), "The removal is published.");
}

/** Asks for the name of a data type that has no model yet, and opens its view, which has the form for a model. */
export async function openNewDataType() {
  const name = h("input", { id: "new-data-type", type: "text", required: true, maxlength: 1000, autocomplete: "off", spellcheck: "false" });
  const agreed = await ask("A new data type", [
    h("p", {}, "Records say their data type; a model serves the records of one data type."),
    h("label", { for: "new-data-type" }, "Data type"), name,
  ], "Continue", { first: name });
  if (agreed) location.hash = `#/data-types/${encodeURIComponent(name.value)}`;
}

async function run(send, done, output = document.getElementById("command-outcome")) {
  try {
    const answer = await withToken(send);
    if (answer === null) return;
    say(output, done, "good");
  } catch (error) {
    say(output, error.message, "bad");
  }
}

/** An outcome is in a live region, so that it is read out. */
function say(output, text, kind) {
  render(output, h("p", { class: `notice ${kind}` }, text));
}

/** The form that uploads a model. It is made once and keeps what was typed. */
export function uploadForm(dataType) {
  const file = h("input", { id: "upload-file", type: "file", name: "model", required: true });
  const output = h("div", { role: "status" });
  const button = h("button", { type: "submit", class: "primary" }, "Publish the model");
  const onsubmit = async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled")) return;
    const form = new FormData(event.target);
    for (const [name, value] of [...form]) if (value === "") form.delete(name);
    button.setAttribute("aria-disabled", "true");
    output.replaceChildren(h("p", {}, "Uploading …"));
    await run(() => command("POST", addressOf(dataType, "models"), form),
      "The model is published. It serves once it is loaded and tried; if it is refused, the reason is shown above.", output);
    button.removeAttribute("aria-disabled");
  };
  return h("section", { class: "panel", key: `upload ${dataType}`, "aria-labelledby": "upload-title", "data-keep": true },
    h("h2", { id: "upload-title" }, "Upload a model"),
    h("form", { class: "stacked", onsubmit },
      h("p", { class: "muted" }, "A PMML or ONNX file, a frozen TensorFlow graph, or a zip or tar of a SavedModel. Its kind is "
        + "told from the content."),
      h("label", { for: "upload-file" }, "Model file"), file,
      textField("name", "Name", "empty: the name of the file"),
      textField("version", "Version", "empty: from the content"),
      textField("description", "Description", ""),
      textField("inputs", "Inputs", "record fields with commas, in the model's order; empty: from the model"),
      h("div", { class: "actions" }, button), output));
}

function textField(name, title, hint) {
  return [
    h("label", { for: `upload-${name}` }, title, hint ? h("span", { class: "note" }, ` (${hint})`) : null),
    h("input", { id: `upload-${name}`, name, type: "text", autocomplete: "off", spellcheck: "false" }),
  ];
}

// The form for a data type in which something was typed: it is not replaced by one with other fields or means.
const typedInto = new Map();

/** The form that scores one record. Its fields are those of which the server has statistics. */
export function scoreForm(dataType, versions) {
  const fields = versions.find((version) => version.fields.length > 0)?.fields ?? [];
  const hasMeans = fields.some((field) => field.count > 0);
  const key = typedInto.get(dataType) ?? `score ${dataType} ${fields.length} ${hasMeans}`;
  const output = h("div", { role: "status" });
  const onsubmit = async (event) => {
    event.preventDefault();
    try {
      const record = fields.length > 0 ? recordOf(new FormData(event.target), fields) : JSON.parse(event.target.elements.record.value);
      const answer = await command("POST", addressOf(dataType, "score"), record);
      render(output, outcome(scoreFrom(answer)));
    } catch (error) {
      say(output, error instanceof SyntaxError ? `The record is not JSON: ${error.message}` : error.message, "bad");
    }
  };
  return h("section", { class: "panel", key, "aria-labelledby": "score-title", "data-keep": true },
    h("h2", { id: "score-title" }, "Score one record"),
    h("form", { class: "stacked", onsubmit, oninput: () => typedInto.set(dataType, key) },
      h("p", { class: "muted" }, fields.length > 0
        ? `By the version that serves now. ${hasMeans ? "The fields are filled with the means of what came. " : ""}`
          + "An empty field is missing."
        : "By the version that serves now. Give the record as JSON."),
      fields.length > 0 ? h("div", { class: "fields" }, fields.map(recordField)) : jsonField(),
      h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Score")), output));
}

function recordField(field, index) {
  const value = field.mean === null || !field.count ? "" : String(Number(field.mean.toPrecision(4)));
  return h("div", {}, h("label", { for: `field-${index}` }, nameOf(field.name, { whole: false })),
    h("input", { id: `field-${index}`, name: String(index), type: "text", inputmode: "decimal", autocomplete: "off", value }));
}

function jsonField() {
  return [h("label", { for: "record" }, "Record"),
    h("textarea", { id: "record", name: "record", rows: 6, spellcheck: "false", value: "{}" })];
}

function recordOf(form, fields) {
  const record = {};
  fields.forEach((field, index) => {
    const text = form.get(String(index)).trim();
    if (text !== "") record[field.name] = Number.isFinite(Number(text)) ? Number(text) : text;
  });
  return record;
}

function outcome(score) {
  const outputs = Object.entries(score.outputs).slice(0, 50);
  return h("div", { class: "outcome" },
    h("p", {}, "Result ", h("b", { class: "figure" }, number(score.result)),
      score.label ? [", label ", h("b", {}, nameOf(score.label))] : null, " by ", model(score.name, score.version)),
    outputs.length > 0
      ? h("dl", { class: "outputs" }, outputs.map(([name, value]) => [h("dt", {}, nameOf(name)), h("dd", {}, number(value))]))
      : null);
}
