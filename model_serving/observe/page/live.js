// The stream of server-sent events, connected again whenever it is lost: after an error, a sleep of the machine,
// or a silence that is longer than the server's heartbeat.

const EVENTS = ["status", "statistics", "dead-letter"];
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;
const TICK_MS = 5_000;
const SLEPT_MS = 30_000;
// A browser opens six connections to a host for all tabs: a tab nobody looks at gives its own back.
const HIDDEN_MS = 300_000;

/**
 * Calls `onConnected()` for each connection, `onEvent(kind, content)` for each event, and `onLost()` when the
 * connection is gone. What was missed in between is not sent again, so a new connection means: ask for everything.
 */
export class LiveStream {
  #source = null;
  #pauseMs = FIRST_PAUSE_MS;
  #retry = null;
  #hidden = null;
  #tick = Date.now();
  #slept = false;

  constructor(address, { onConnected, onEvent, onLost }) {
    this.address = address;
    this.onConnected = onConnected;
    this.onEvent = onEvent;
    this.onLost = onLost;
  }

  start() {
    this.#connect();
    setInterval(() => this.#noticeSleep(), TICK_MS);
    addEventListener("online", () => this.#reconnectNow());
    addEventListener("offline", () => this.#lose());
    addEventListener("pageshow", (event) => event.persisted && this.#reconnectNow());
    document.addEventListener("visibilitychange", () => this.#noticeVisibility());
  }

  #connect() {
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#source?.close();
    const source = new EventSource(this.address);
    this.#source = source;
    source.onopen = () => {
      this.#pauseMs = FIRST_PAUSE_MS;
      this.onConnected();
    };
    source.onerror = () => source === this.#source && this.#lose();
    for (const kind of EVENTS) {
      source.addEventListener(kind, (event) => this.#take(kind, event.data));
    }
  }

  #take(kind, text) {
    let content;
    try {
      content = JSON.parse(text);
    } catch {
      return;
    }
    this.onEvent(kind, content);
  }

  /** The browser's own reconnection ends at an error status, so this does not rely on it. */
  #lose() {
    this.#source?.close();
    this.#source = null;
    this.onLost();
    if (this.#retry === null) {
      this.#retry = setTimeout(() => this.#connect(), this.#pauseMs * (0.75 + Math.random() / 2));
      this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  #reconnectNow() {
    this.#slept = false;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#connect();
  }

  /** After a sleep a connection may look open although nothing will ever come through it. */
  #noticeSleep() {
    const now = Date.now();
    // The timers of a hidden page may pause, too: what is shown is looked after when it is seen again.
    this.#slept ||= now - this.#tick > SLEPT_MS;
    this.#tick = now;
    if (this.#slept && !document.hidden) this.#reconnectNow();
  }

  #noticeVisibility() {
    clearTimeout(this.#hidden);
    if (document.hidden) {
      this.#hidden = setTimeout(() => {
        clearTimeout(this.#retry);
        this.#source?.close();
        this.#source = null;
        this.onLost();
      }, HIDDEN_MS);
    } else if (this.#source === null || this.#slept) {
      this.#reconnectNow();
    }
  }
}
