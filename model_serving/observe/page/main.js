// Starts the page: which view is shown, when it is drawn, and what the connection says.

import { hasToken, useToken } from "./api.js";
import { openNewDataType, remove, rollback, scoreForm, uploadForm } from "./commands.js";
import { detailView } from "./detail.js";
import { askForToken } from "./dialogs.js";
import { announce, h, render } from "./dom.js";
import { clockWithZone, count } from "./format.js";
import { askForVisible, choose, keepFresh, known, loadVisible, nameOfDetail, takeEvent } from "./knowledge.js";
import { lettersView } from "./letters.js";
import { LiveStream } from "./live.js";
import { overviewView } from "./overview.js";
import { deadLetterTotal } from "./parts.js";
import { plainName } from "./text.js";

const SEARCH_PAUSE_MS = 200;
const TITLE = "Model serving";
const WIDE = 1100;
const LEAST_WIDTH = 240;

const view = document.getElementById("view");
const connection = document.getElementById("connection");
const lettersLink = document.querySelector("nav.views a[data-view=letters]");
const tokenButton = document.getElementById("token-button");

let route = { name: "list" };
let isPlanned = false;
let searchPause = null;
let lastServing = null;

function readRoute() {
  const [, name, ...rest] = location.hash.split("/");
  if (name === "dead-letters") return { name: "letters" };
  if (name !== "data-types" || rest.length === 0) return { name: "list" };
  try {
    return { name: "detail", dataType: decodeURIComponent(rest.join("/")) };
  } catch {
    return { name: "list" };
  }
}

/** Draws the page once before the next frame, however often it is asked. */
function draw() {
  if (isPlanned) return;
  isPlanned = true;
  requestAnimationFrame(() => {
    isPlanned = false;
    render(view, ...content());
    drawHeader();
  });
}

function content() {
  const now = Date.now();
  if (route.name === "letters") return lettersView();
  if (route.name === "list") return overviewView(now, { search, sort, page, begin: openNewDataType });
  const dataType = known.detail.dataType;
  return detailView(now, chartWidth(), {
    rollback: (serving) => rollback(dataType, serving),
    remove: (serving) => remove(dataType, serving),
    upload: () => uploadForm(dataType),
    score: (versions) => scoreForm(dataType, versions),
  });
}

function chartWidth() {
  const inner = view.clientWidth - 34;
  return Math.max(LEAST_WIDTH, Math.floor(inner >= WIDE ? (inner - 24) / 2 : inner));
}

function drawHeader() {
  // Without events but with answers, the page is right, only slower.
  const isAnswered = known.connected === false && known.updatedAt > known.lostAt;
  const isLost = known.connected === false && !isAnswered;
  const text = known.connected === null ? "Connecting …" : isLost ? "Connection lost" : isAnswered ? "No live events" : "Live";
  connection.className = isLost ? "connection lost" : known.connected ? "connection live" : "connection";
  const updated = known.updatedAt ? `${isLost ? "as of" : "updated"} ${clockWithZone(known.updatedAt)}` : "";
  render(connection, h("span", { class: "state" }, text), h("span", { class: "note" }, updated));
  document.body.classList.toggle("stale", isLost);
  for (const link of document.querySelectorAll("nav.views a")) {
    const isCurrent = link.dataset.view === route.name;
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const { total } = deadLetterTotal(known.letterCounts.counts);
  render(lettersLink, "Dead letters", total > 0 ? [" ", h("span", { class: "number-of" }, count(total))] : null);
  render(tokenButton, hasToken() ? "Forget token" : "Enter token");
  const subject = { list: "Data types", letters: "Dead letters" }[route.name] ?? plainName(nameOfDetail());
  document.title = `${isLost ? "Connection lost: " : ""}${subject} – ${TITLE}`;
}

function search(text) {
  clearTimeout(searchPause);
  searchPause = setTimeout(() => {
    known.search = text.trim();
    known.offset = 0;
    loadVisible();
  }, SEARCH_PAUSE_MS);
}

function sort(order) {
  known.sort = order;
  known.offset = 0;
  loadVisible();
}

function page(offset) {
  known.offset = offset;
  loadVisible();
}

function show() {
  route = readRoute();
  if (route.name === "detail") choose(route.dataType);
  lastServing = null;
  render(document.getElementById("command-outcome"));
  loadVisible();
  draw();
}

/** A swap or a refusal of the data type that is looked at is read out; figures are not. */
function announceModels() {
  const overview = route.name === "detail" ? known.detail.overview : null;
  if (!overview) return;
  const { serving, rejected } = overview;
  const now = { version: serving?.version ?? "", refusedAt: rejected[0]?.at ?? 0 };
  if (lastServing && now.version !== lastServing.version) {
    announce(serving ? `${plainName(serving.name)}, version ${plainName(now.version)}, serves now.` : "No model serves now.");
  } else if (lastServing && now.refusedAt > lastServing.refusedAt) {
    announce(`Model ${plainName(rejected[0].name)} was refused.`);
  }
  lastServing = now;
}

function setConnected(isConnected) {
  if (known.connected === isConnected) return;
  if (known.connected !== null || !isConnected) {
    announce(isConnected ? "Connected again." : "The connection is lost.");
  }
  known.connected = isConnected;
  if (!isConnected) known.lostAt = Date.now();
  draw();
}

addEventListener("hashchange", () => {
  show();
  requestAnimationFrame(() => view.querySelector("h1")?.focus());
  scrollTo(0, 0);
});
new ResizeObserver(draw).observe(view);
tokenButton.addEventListener("click", async () => {
  if (hasToken()) useToken("", false);
  else await askForToken();
  draw();
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  view.querySelector("h1")?.focus();
});

keepFresh(
  // The view of dead letters has their number with them.
  () => (route.name === "letters" ? [route.name] : [route.name, "letterCounts"]),
  () => {
    announceModels();
    draw();
  },
);
show();
new LiveStream("api/v1/events", {
  onConnected: () => {
    setConnected(true);
    askForVisible();
  },
  onEvent: takeEvent,
  onLost: () => {
    setConnected(false);
    askForVisible();
  },
}).start();
