// What the page knows: the parts that are on the screen, loaded again when an event says that they changed, and
// every few seconds, because throughput falls without an event. Requests are never more frequent than once a second.

import { addressOf, fitsAddress, get } from "./api.js";
import { dataTypeFrom, dataTypeOfEvent, dataTypesFrom, letterCountsFrom, lettersFrom, seriesFrom, versionsFrom } from "./shapes.js";

export const PAGE_SIZE = 50;
const LETTERS = 50;
const DETAIL_LETTERS = 10;
const MOST_LETTERS = 200;
const GAP_MS = 1_000;
const USUALLY_MS = 5_000;

export const known = {
  /** null: not yet connected; else whether events come. */
  connected: null,
  lostAt: null,
  updatedAt: null,
  search: "",
  sort: "name",
  offset: 0,
  list: { loaded: false, total: 0, items: [], failure: null },
  detail: emptyDetail(null),
  letters: { loaded: false, items: [], failure: null },
  /** How many dead letters there are: of each reason, and of those without a data type. */
  letterCounts: { loaded: false, counts: {}, withoutDataType: {}, failure: null },
};

/** Loads one part; asked again while it loads, it loads once more afterwards. */
class Part {
  #running = false;
  #again = false;
  #timer = null;
  #begun = -Infinity;

  constructor(load) {
    this.load = load;
  }

  ask() {
    if (this.#running) this.#again = true;
    else this.#timer ??= setTimeout(() => this.now(), Math.max(0, this.#begun + GAP_MS - performance.now()));
  }

  async now() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    this.#begun = performance.now();
    await this.load();
    this.#running = false;
    if (this.#again) {
      this.#again = false;
      this.ask();
    }
  }
}

let changed = () => {};
let visible = () => [];

const parts = {
  list: new Part(async () => {
    const [search, sort, offset] = [known.search, known.sort, known.offset];
    const descending = sort !== "name";
    await fill(known.list, async () => {
      const answer = dataTypesFrom(await get("api/v1/data-types", { search, sort, descending, offset, limit: PAGE_SIZE }));
      if (search !== known.search || sort !== known.sort || offset !== known.offset) return;
      Object.assign(known.list, answer);
    });
  }),
  detail: new Part(async () => {
    const detail = known.detail;
    await fill(detail, async () => {
      const overview = await get(addressOf(detail.dataType));
      const [versions, series] = await Promise.all([
        get(addressOf(detail.dataType, "versions")),
        get(addressOf(detail.dataType, "series")),
      ]);
      detail.overview = dataTypeFrom(overview);
      detail.versions = versionsFrom(versions);
      detail.series = seriesFrom(series);
      detail.letters = await lettersOf(overview.dataType);
      detail.isUnknown = false;
    });
  }),
  letters: new Part(async () => {
    await fill(known.letters, async () => {
      const answer = await get("api/v1/dead-letters", { limit: LETTERS });
      known.letters.items = lettersFrom(answer);
      Object.assign(known.letterCounts, letterCountsFrom(answer));
    });
  }),
  letterCounts: new Part(async () => {
    await fill(known.letterCounts, async () => {
      Object.assign(known.letterCounts, letterCountsFrom(await get("api/v1/dead-letters", { limit: 1 })));
    });
  }),
};

async function lettersOf(dataType) {
  if (fitsAddress(dataType)) {
    return lettersFrom(await get("api/v1/dead-letters", { limit: DETAIL_LETTERS, data_type: dataType }));
  }
  const newest = lettersFrom(await get("api/v1/dead-letters", { limit: MOST_LETTERS }));
  return newest.filter((letter) => letter.dataType === dataType).slice(0, DETAIL_LETTERS);
}

async function fill(part, load) {
  try {
    await load();
    part.failure = null;
    known.updatedAt = Date.now();
  } catch (error) {
    part.failure = error.message;
    part.isUnknown = error.status === 404;
  }
  part.loaded = true;
  changed();
}

/** Begins to keep the parts fresh that `shown()` names: of list, detail, letters and letterCounts. */
export function keepFresh(shown, onChange) {
  visible = shown;
  changed = onChange;
  setInterval(() => {
    if (!document.hidden) askForVisible();
  }, USUALLY_MS);
}

/** Loads everything that is shown again, soon. */
export function askForVisible() {
  for (const name of visible()) parts[name].ask();
}

/** Loads everything that is shown again, at once. */
export function loadVisible() {
  for (const name of visible()) parts[name].now();
}

/** Takes an event: what it is about is loaded again if it is shown. */
export function takeEvent(kind, content) {
  const dataType = dataTypeOfEvent(content);
  const shown = visible();
  if (shown.includes("list")) {
    const isListed = known.list.items.some((item) => item.dataType === dataType);
    if (kind === "status" || isListed) parts.list.ask();
  }
  if (shown.includes("detail") && dataType === nameOfDetail()) parts.detail.ask();
  if (kind !== "dead-letter") return;
  for (const name of ["letters", "letterCounts"]) if (shown.includes(name)) parts[name].ask();
}

/** The name of the data type that is shown in detail. */
export function nameOfDetail() {
  return known.detail.overview?.dataType ?? known.detail.dataType;
}

/** Chooses the data type that is shown in detail. */
export function choose(dataType) {
  if (known.detail.dataType === dataType) return;
  known.detail = emptyDetail(dataType);
}

/** `dataType` is the name or, for names that no path can carry, the id. */
function emptyDetail(dataType) {
  return {
    dataType,
    loaded: false,
    overview: null,
    versions: [],
    series: { intervalMs: 1000, samples: [], swaps: [] },
    letters: [],
    failure: null,
    isUnknown: false,
  };
}
