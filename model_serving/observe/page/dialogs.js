// Questions to the user: a modal dialog, closed by Escape, that gives the focus back where it was.

import { hasToken, useToken } from "./api.js";
import { h } from "./dom.js";

/** Shows a dialog and returns whether the user agreed; `content` comes between the title and the buttons. */
export function ask(title, content, agree, { isDanger = false, first = null } = {}) {
  return new Promise((resolve) => {
    let agreed = false;
    const form = h("form", {
      class: "stacked",
      onsubmit: (event) => {
        event.preventDefault();
        agreed = true;
        dialog.close();
      },
    },
    h("h2", { id: "dialog-title" }, title), content,
    h("div", { class: "actions" },
      h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      h("button", { type: "submit", class: isDanger ? "danger" : "primary" }, agree)));
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(agreed);
    });
    document.body.append(dialog);
    dialog.showModal();
    first?.focus();
  });
}

/** Asks for the token of commands; returns whether there is one now. `reason` says why it is asked. */
export async function askForToken(reason = "") {
  const token = h("input", { id: "token", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
  const keep = h("input", { id: "keep-token", type: "checkbox" });
  const isGiven = await ask("Token for commands", [
    reason ? h("p", { class: "notice bad" }, reason) : null,
    h("p", {}, "Uploading, rolling back and removing models need a token of the file that the server was started with "
      + "(--token-file)."),
    h("label", { for: "token" }, "Token"), token,
    h("p", { class: "check" }, keep, h("label", { for: "keep-token" }, "Keep it until this tab is closed")),
  ], "Use token", { first: token });
  if (isGiven) useToken(token.value.trim(), keep.checked);
  return isGiven;
}

/** Runs a command; when the server asks for a token, asks the user for it and runs the command again. */
export async function withToken(run) {
  if (!hasToken() && !(await askForToken())) return null;
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (error.status !== 401) throw error;
      useToken("", false);
      if (!(await askForToken("The server does not know this token."))) return null;
    }
  }
}
