// Text from outside: names, reasons, bytes. Shown as it is, whatever is in it: it is never markup, it cannot turn
// the direction of the text around it, what is invisible is made visible, and what is long is cut with a way to
// see all of it.

import { h } from "./dom.js";

const LONGEST = 80;
const LONGEST_SENTENCE = 300;

// Control, format and other invisible characters and lone surrogates. Joiners and variation selectors have a
// meaning in words and emoji, so they stay.
const HIDDEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]|(?![\u200c\u200d\ufe0e\ufe0f])[\p{Cf}\p{Default_Ignorable_Code_Point}]/gu;

/** Returns a name, cut after 80 characters. With `whole` there is a button that shows all of it. */
export function nameOf(text, { whole = true, missing = "(no name)" } = {}) {
  return shown(text, LONGEST, whole, missing);
}

/** Returns a sentence from outside, such as the reason of a dead letter. */
export function sentenceOf(text, { missing = "(no reason given)" } = {}) {
  return shown(text, LONGEST_SENTENCE, true, missing);
}

/** Returns the name as plain text for attributes: short, and without what is invisible. */
export function plainName(text) {
  const { start, isCut } = cut(text ?? "", LONGEST);
  const plain = start.replace(HIDDEN, (one) => `⟨${codeOf(one)}⟩`);
  return plain === "" ? "(no name)" : plain + (isCut ? "…" : "");
}

function shown(text, longest, whole, missing) {
  if (text === "" || text === null || text === undefined) return h("span", { class: "muted" }, missing);
  const { start, isCut } = cut(text, longest);
  const name = h("bdi", { class: "name" }, visible(start), isCut ? "…" : null);
  if (!isCut || !whole) return name;
  const length = text.length.toLocaleString();
  return h("span", { class: "long" }, name, " ",
    h("button", { type: "button", class: "quiet", onclick: () => showWhole(text) },
      `Show all ${length} characters`));
}

/** The first characters, never half of a surrogate pair. */
function cut(text, longest) {
  if (text.length <= longest) return { start: text, isCut: false };
  return { start: [...text.slice(0, longest * 2)].slice(0, longest).join(""), isCut: true };
}

function visible(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push(h("span", { class: "hidden-character", title: codeOf(match[0]) }, pictureOf(match[0])));
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  return parts;
}

function codeOf(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Control characters have a picture in Unicode; for the others their number is shown. */
function pictureOf(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return code === 0x7f ? "␡" : `⟨${codeOf(character)}⟩`;
}

function showWhole(text) {
  const area = h("textarea", { readonly: true, rows: 12, dir: "auto", "aria-label": "The whole text" });
  area.value = text;
  const dialog = h("dialog", { class: "wide", "aria-labelledby": "whole-title" },
    h("h2", { id: "whole-title" }, `The whole text, ${text.length.toLocaleString()} characters`),
    area,
    h("form", { method: "dialog", class: "actions" }, h("button", {}, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** Returns lines of sixteen bytes: offset, hexadecimal, text. */
export function hexDump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const line = bytes.slice(at, at + 16);
    lines.push(`${at.toString(16).padStart(4, "0")}  ${bytesAsHex(line).padEnd(47)}  ${bytesAsText(line)}`);
  }
  return lines.join("\n");
}

/** Returns the bytes in hexadecimal. */
export function bytesAsHex(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** Returns the bytes as text: ASCII, and a dot for any other byte. */
export function bytesAsText(bytes) {
  return [...bytes].map(printable).join("");
}

function printable(byte) {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·";
}
