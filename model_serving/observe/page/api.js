// Asks the query server. Every failure is an Error whose message can be shown.

const TIMEOUT_MS = 15_000;
const LONGEST_NAME = 1_000;
const KEPT_AS = "model-serving-token";

let token = "";
try {
  token = sessionStorage.getItem(KEPT_AS) ?? "";
} catch {
  // Storage is switched off: the token is in memory only.
}

/** A failed request; `status` is the HTTP status, 0 if there was no answer. */
export class RequestFailed extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export function hasToken() {
  return token !== "";
}

/** Takes the token for commands. With `keep` it stays until the tab is closed, else until the page is left. */
export function useToken(text, keep) {
  token = text;
  try {
    if (keep && text) sessionStorage.setItem(KEPT_AS, text);
    else sessionStorage.removeItem(KEPT_AS);
  } catch {
    // See above.
  }
}

/** Whether a name can be part of an address: browsers take dots for folders, and servers refuse long addresses. */
export function fitsAddress(dataType) {
  return dataType.length <= LONGEST_NAME && ![".", ".."].includes(dataType) && (dataType.isWellFormed?.() ?? true);
}

/** Returns the address of a data type by its name, which may have any characters, or by its id. */
export function addressOf(dataType, ...rest) {
  return ["api/v1/data-types", encodeURIComponent(dataType), ...rest].join("/");
}

/** Returns the JSON of a GET request. */
export function get(address, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  return request(query ? `${address}?${query}` : address, {});
}

/** Sends a command with the token and returns the JSON of the answer. */
export function command(method, address, body) {
  const options = { method, headers: { Authorization: `Bearer ${token}` } };
  if (!token) delete options.headers.Authorization;
  if (body instanceof FormData) {
    options.body = body;
  } else if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  // An upload takes as long as it takes.
  return request(address, options, body instanceof FormData ? null : TIMEOUT_MS);
}

async function request(address, options, timeoutMs = TIMEOUT_MS) {
  const signal = timeoutMs ? AbortSignal.timeout(timeoutMs) : undefined;
  let answer;
  try {
    answer = await fetch(address, { ...options, signal, cache: "no-store", credentials: "same-origin" });
  } catch (error) {
    const why = error.name === "TimeoutError" ? `no answer within ${TIMEOUT_MS / 1000} s` : "it cannot be reached";
    throw new RequestFailed(`The query server does not answer: ${why}.`, 0);
  }
  let content = null;
  try {
    content = await answer.json();
  } catch {
    if (answer.ok) throw new RequestFailed("The query server's answer is not JSON.", answer.status);
  }
  if (!answer.ok) throw new RequestFailed(reasonOf(content, answer.status), answer.status);
  return content;
}

function reasonOf(content, status) {
  const detail = content?.detail;
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) {
    return detail.map((one) => `${(one.loc ?? []).join(".")}: ${one.msg}`).join("; ");
  }
  return `The query server answers with status ${status}.`;
}
