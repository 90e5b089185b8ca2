// Numbers with their units, and times in the reader's time zone.

const NONE = "–";

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** Returns a count with separators. */
export function count(value) {
  return isNumber(value) ? Math.round(value).toLocaleString() : NONE;
}

/** Returns a number with three significant digits. */
export function number(value) {
  if (!isNumber(value)) return NONE;
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e9)) return value.toExponential(2);
  return value.toLocaleString(undefined, size >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
}

/** Returns milliseconds in the unit that reads best. */
export function duration(ms) {
  if (!isNumber(ms)) return NONE;
  const size = Math.abs(ms);
  if (size === 0) return "0 ms";
  if (size < 1) return `${number(ms * 1000)} µs`;
  if (size < 1000) return `${number(ms)} ms`;
  if (size < 60_000) return `${number(ms / 1000)} s`;
  if (size < 3_600_000) return `${number(ms / 60_000)} min`;
  return size < 86_400_000 ? `${number(ms / 3_600_000)} h` : `${number(ms / 86_400_000)} d`;
}

/** Returns records a second. */
export function rate(value) {
  return isNumber(value) ? `${number(value)} records/s` : NONE;
}

/** Returns a share of one as a percentage. */
export function share(value) {
  if (!isNumber(value)) return NONE;
  if (value > 0 && value < 0.0005) return "< 0.1 %";
  return `${(value * 100).toLocaleString(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 })} %`;
}

/** Returns a size in bytes. */
export function bytes(value) {
  if (!isNumber(value)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB"];
  let [size, unit] = [value, 0];
  while (size >= 1024 && unit < units.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${number(size)} ${units[unit]}`;
}

const FULL = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  timeZoneName: "short",
});
const DATE = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "numeric", day: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const CLOCK_ZONE = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
});

function isTime(ms) {
  return isNumber(ms) && ms > 0 && ms <= 8.64e15;
}

/** Returns date, time and zone of epoch milliseconds. */
export function moment(ms) {
  return isTime(ms) ? FULL.format(ms) : NONE;
}

/** Returns time and zone, with the date unless it is that of `now`. */
export function shortMoment(ms, now) {
  return isTime(ms) && DATE.format(ms) === DATE.format(now) ? clockWithZone(ms) : moment(ms);
}

/** Returns the time of day with its zone. */
export function clockWithZone(ms) {
  return isTime(ms) ? CLOCK_ZONE.format(ms) : NONE;
}

/** Returns the time of day, for axes, whose title names the zone. */
export function clock(ms) {
  return isTime(ms) ? CLOCK.format(ms) : NONE;
}

/** Returns the short name of the reader's time zone. */
export function zone() {
  return FULL.formatToParts(Date.now()).find((part) => part.type === "timeZoneName")?.value ?? "local time";
}

/** Returns how long ago a time was. */
export function ago(ms, now) {
  if (!isTime(ms)) return NONE;
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86_400)} d ago`;
}
