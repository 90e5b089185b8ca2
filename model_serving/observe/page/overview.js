// The first view: all data types, searched and page by page.

import { h } from "./dom.js";
import { ago, count, duration, rate } from "./format.js";
import { dataTypeLink, deadLetterTotal, failureNotice, model, table, time } from "./parts.js";
import { known, PAGE_SIZE } from "./knowledge.js";
import { nameOf } from "./text.js";

const ORDERS = [
  ["name", "Name"], ["throughput", "Throughput"], ["p99", "Latency p99"], ["p50", "Latency p50"],
  ["dead-letters", "Dead letters"], ["failed", "Failed records"], ["waiting", "Waiting records"], ["since", "Newest model"],
];

/** Returns the view; `actions` are `search(text)`, `sort(order)`, `page(offset)` and `begin()`. */
export function overviewView(now, actions) {
  const { list, offset, search, sort } = known;
  return [
    h("h1", { tabindex: -1 }, "Data types"),
    h("form", { class: "find", role: "search", key: "search", "data-keep": true, onsubmit: (event) => event.preventDefault() },
      h("div", {}, h("label", { for: "search" }, "Search by name"),
        h("input", {
          id: "search", type: "search", autocomplete: "off", spellcheck: "false", value: search, maxlength: 1000,
          oninput: (event) => actions.search(event.target.value),
        })),
      h("div", {}, h("label", { for: "sort" }, "Sort by"),
        h("select", { id: "sort", onchange: (event) => actions.sort(event.target.value) },
          ORDERS.map(([order, title]) => h("option", { value: order, selected: order === sort }, title)))),
      h("button", { type: "button", onclick: () => actions.begin() }, "Upload for a new data type")),
    failureNotice(list, known.updatedAt),
    strayLetters(),
    list.loaded ? content(list, offset, search, now, actions) : h("p", { class: "muted", key: "loading" }, "Loading …"),
  ];
}

/** What is in no row of the list: messages from which no data type could be read. */
function strayLetters() {
  const { total, reasons } = deadLetterTotal(known.letterCounts.withoutDataType);
  if (total === 0) return null;
  return h("p", { class: "notice bad", key: "stray" },
    `${count(total)} dead ${total === 1 ? "letter belongs" : "letters belong"} to no data type (${reasons}). `,
    h("a", { href: "#/dead-letters" }, "Look at the newest"));
}

function content(list, offset, search, now, actions) {
  if (list.total === 0 && list.failure === null) {
    return h("p", { class: "notice", key: "nothing" }, search
      ? ["No data type has ", nameOf(search), " in its name."]
      : "No data type is known yet. One appears as soon as a model is published for it, or records of it arrive.");
  }
  return [
    h("div", { class: "panel", key: "table" }, table({
      caption: "Data types with the model that serves each of them",
      columns: columns(now),
      rows: list.items,
      key: (item) => item.dataType,
    })),
    paging(list, offset, actions),
  ];
}

function columns(now) {
  return [
    { title: "Data type", isHead: true, cell: (item) => dataTypeLink(item.dataType, item.id) },
    { title: "Serves", cell: (item) => [serving(item), waiting(item), refused(item, now)] },
    { title: "Since", cell: (item) => time(item.serving?.since, now) },
    { title: "Throughput", isNumber: true, cell: (item) => rate(item.throughput) },
    { title: "Latency p50", isNumber: true, cell: (item) => duration(item.latency.p50) },
    { title: "Latency p99", isNumber: true, cell: (item) => duration(item.latency.p99) },
    { title: "Dead letters", isNumber: true, cell: dead },
  ];
}

function serving(item) {
  if (item.serving) return model(item.serving.name, item.serving.version);
  // A removal was somebody's wish.
  return item.state === "REMOVED" ? h("span", { class: "muted" }, "No model: it was removed") : h("span", { class: "bad" }, "No model");
}

function dead(item) {
  const { total, reasons } = deadLetterTotal(item.deadLetters);
  if (total === 0) return h("span", { class: "muted" }, "0");
  return h("span", { class: "bad" }, count(total), h("span", { class: "note block" }, reasons));
}

function waiting(item) {
  if (item.waiting === 0) return null;
  return h("span", { class: "note bad block" }, item.waiting === 1 ? "1 record waits" : `${count(item.waiting)} records wait`);
}

function refused(item, now) {
  const last = item.rejected.at(0);
  if (!last) return null;
  return h("span", { class: "note bad block" }, "Refused ", ago(last.at, now), ": ", nameOf(last.name, { whole: false }));
}

function paging(list, offset, actions) {
  const first = list.items.length === 0 ? 0 : offset + 1;
  const last = offset + list.items.length;
  return h("nav", { class: "paging", "aria-label": "Pages of data types", key: "paging" },
    h("p", { role: "status" }, `${count(first)} to ${count(last)} of ${count(list.total)} data types`),
    h("button", {
      type: "button", "aria-disabled": offset === 0 ? "true" : null,
      onclick: () => offset > 0 && actions.page(Math.max(0, offset - PAGE_SIZE)),
    }, "Previous page"),
    h("button", {
      type: "button", "aria-disabled": last >= list.total ? "true" : null,
      onclick: () => last < list.total && actions.page(offset + PAGE_SIZE),
    }, "Next page"));
}
