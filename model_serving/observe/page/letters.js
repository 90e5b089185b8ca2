// Dead letters: what could not be served, why, and the first bytes of it.

import { h } from "./dom.js";
import { bytes, count, moment } from "./format.js";
import { dataTypeLink, failureNotice, model, reasonText } from "./parts.js";
import { known } from "./knowledge.js";
import { bytesAsHex, bytesAsText, hexDump, nameOf, sentenceOf } from "./text.js";

const FIRST = 16;

/** The view of the newest dead letters of all data types. */
export function lettersView() {
  const { letters } = known;
  return [
    h("h1", { tabindex: -1 }, "Newest dead letters"),
    h("p", { class: "muted" }, "Messages that could not be served, with the reason and their first bytes. The newest are first."),
    failureNotice(letters, known.updatedAt),
    letters.loaded ? letterList(letters.items, "There are no dead letters.") : h("p", { class: "muted" }, "Loading …"),
  ];
}

/** A list of dead letters. */
export function letterList(items, nothing) {
  if (items.length === 0) return h("p", { class: "muted", key: "none" }, nothing);
  return h("ol", { class: "letters", key: "letters" }, items.map(letterItem));
}

function letterItem(letter) {
  return h("li", { class: "panel", key: letter.key },
    h("p", { class: "letter-head" },
      h("strong", { class: "bad" }, reasonText(letter.reason)),
      h("time", { datetime: new Date(letter.at || 0).toISOString() }, moment(letter.at)),
      letter.dataType
        ? dataTypeLink(letter.dataType)
        : h("span", { class: "muted" }, "no data type"),
      letter.model || letter.version ? model(letter.model, letter.version) : null,
      h("span", { class: "muted" }, "from topic ", nameOf(letter.topic))),
    h("p", {}, sentenceOf(letter.detail)),
    payload(letter));
}

function payload(letter) {
  if (letter.bytes.length === 0) return h("p", { class: "muted" }, "The message is empty.");
  const isCut = letter.size > letter.bytes.length;
  const first = letter.bytes.slice(0, FIRST);
  return h("details", {},
    h("summary", {}, `${bytes(letter.size)}, the first: `, h("code", { class: "bytes" }, bytesAsHex(first)),
      " ", h("code", { class: "bytes text" }, bytesAsText(first))),
    h("pre", { class: "dump", tabindex: 0, role: "region", "aria-label": "Bytes in hexadecimal and as text" }, hexDump(letter.bytes)),
    isCut ? h("p", { class: "muted" }, `The first ${count(letter.bytes.length)} bytes of ${count(letter.size)}.`) : null);
}
