// Lines over time as SVG, with the swaps of models as marks on the axis.

import { h, s } from "./dom.js";
import { clock, zone } from "./format.js";
import { plainName } from "./text.js";

const HEIGHT = 200;
const EDGE = { left: 64, right: 14, top: 22, bottom: 34 };
const SHORTEST_MS = 60_000;
const LABEL_WIDTH = 96;
const DIGIT_WIDTH = 7;
const LOGARITHMIC_FROM = 100;

/**
 * Returns a chart.
 *
 * `lines` are `{label, key}`: `key` names the value in each of `samples`, which stand for `intervalMs`; where one is
 * missing, the line has a gap. `swaps` are `{at, version}`; `format` makes the text of a value; `width` is in pixels.
 */
export function timeChart({ title, samples, intervalMs, lines, swaps, format, width, now }) {
  const from = Math.min(samples[0]?.at ?? now, now - SHORTEST_MS);
  const right = Math.max(width - EDGE.right, EDGE.left + 50);
  const x = (at) => EDGE.left + ((at - from) / (now - from)) * (right - EDGE.left);
  const values = samples.flatMap((sample) => lines.map((line) => sample[line.key])).filter((one) => one !== null);
  const scale = scaleFor(values);
  const bottom = HEIGHT - EDGE.bottom;
  const y = (value) => bottom - scale.place(value) * (bottom - EDGE.top);
  const shown = swaps.filter((swap) => swap.at >= from && swap.at <= now);
  const titleText = scale.isLogarithmic ? `${title} (logarithmic scale)` : title;
  return h("figure", { class: "chart" },
    h("figcaption", {}, h("span", { class: "chart-title" }, titleText), legend(lines, samples, format)),
    s("svg", {
      viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img",
      "aria-label": summary(titleText, lines, samples, shown, format),
    },
    scale.ticks.map((value) => s("g", {},
      s("line", { class: "grid", x1: EDGE.left, x2: right, y1: y(value), y2: y(value) }),
      s("text", { class: "tick", x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, format(value)))),
    timeTicks(from, now, x, right),
    swapMarks(shown, x, bottom, right),
    lines.map((line, index) => s("path", {
      class: `line series-${index + 1}`, d: path(samples, line.key, intervalMs, x, y),
    })),
    values.length === 0
      ? s("text", { class: "tick", x: (EDGE.left + right) / 2, y: HEIGHT / 2, "text-anchor": "middle" },
        "No records yet")
      : null));
}

function legend(lines, samples, format) {
  const last = samples.at(-1);
  return h("span", { class: "legend" }, lines.map((line, index) =>
    h("span", { class: "legend-entry" },
      s("svg", { width: 18, height: 10, "aria-hidden": "true" },
        s("line", { class: `line series-${index + 1}`, x1: 0, x2: 18, y1: 5, y2: 5 })),
      `${line.label} `, h("b", {}, last ? format(last[line.key]) : "–"))));
}

function summary(title, lines, samples, swaps, format) {
  const parts = lines.map((line) => {
    const values = samples.map((sample) => sample[line.key]).filter((one) => one !== null);
    if (values.length === 0) return `${line.label}: nothing yet`;
    const [least, most] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    return `${line.label}: now ${format(values.at(-1))}, between ${format(least)} and ${format(most)}`;
  });
  const marks = swaps.map((swap) => `${plainName(swap.version || "removed")} at ${clock(swap.at)}`).join(", ");
  return `${title}. ${parts.join(". ")}.${marks ? ` Model swaps: ${marks}.` : ""}`;
}

/** From zero, in round steps; logarithmic where the values differ by more than a hundred times. */
function scaleFor(values) {
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  const positive = values.filter((one) => one > 0);
  const least = positive.reduce((a, b) => Math.min(a, b), most);
  if (positive.length > 0 && positive.length === values.length && most / least > LOGARITHMIC_FROM) {
    const [low, high] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
    const step = Math.ceil((high - low) / 5);
    const ticks = [];
    for (let power = low; power <= high; power += step) ticks.push(10 ** power);
    return { isLogarithmic: true, ticks, place: (one) => (Math.log10(one) - low) / (high - low) };
  }
  const step = roundStep((most || 1) / 4);
  const top = Math.ceil((most || 1) / step) * step;
  const ticks = [];
  for (let index = 0; index * step <= top * 1.0001; index += 1) ticks.push(index * step);
  return { isLogarithmic: false, ticks, place: (one) => one / top };
}

function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].find((one) => one * power >= rough) * power;
}

function timeTicks(from, now, x, right) {
  const steps = [10, 15, 30, 60, 120, 300, 600].map((seconds) => seconds * 1000);
  const labelWidth = clock(now).length * DIGIT_WIDTH + 16;
  const most = Math.max(1, Math.floor((right - EDGE.left) / labelWidth));
  const step = steps.find((one) => (now - from) / one <= most) ?? steps.at(-1);
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= now; at += step) {
    // The first and the last label must not leave the chart.
    if (x(at) < EDGE.left + labelWidth / 2 - EDGE.right || x(at) > right + EDGE.right - labelWidth / 2) continue;
    ticks.push(s("g", {},
      s("line", { class: "grid", x1: x(at), x2: x(at), y1: HEIGHT - EDGE.bottom, y2: HEIGHT - EDGE.bottom + 4 }),
      s("text", { class: "tick", x: x(at), y: HEIGHT - EDGE.bottom + 18, "text-anchor": "middle" }, clock(at))));
  }
  return ticks;
}

/** A dashed line for each swap, a triangle on the axis, and the version where there is room for it. */
function swapMarks(swaps, x, bottom, right) {
  let free = -Infinity;
  return swaps.map((swap) => {
    const at = x(swap.at);
    const label = plainName(swap.version || "removed").slice(0, 12);
    const atEnd = at > right - LABEL_WIDTH;
    const begin = atEnd ? at - LABEL_WIDTH : at;
    const hasRoom = begin >= free;
    if (hasRoom) free = begin + LABEL_WIDTH;
    return s("g", { class: "swap" },
      s("title", {}, `${swap.version ? `${plainName(swap.version)} serves` : "No model serves"} since ${clock(swap.at)} ${zone()}`),
      s("line", { x1: at, x2: at, y1: EDGE.top - 4, y2: bottom }),
      s("path", { d: `M${at} ${bottom - 7}l5 8h-10z` }),
      hasRoom ? s("text", {
        x: at, y: EDGE.top - 8, "text-anchor": atEnd ? "end" : "start",
      }, label) : null);
  });
}

function path(samples, key, intervalMs, x, y) {
  let last = null;
  return samples.map((sample) => {
    if (sample[key] === null) return "";
    const isNext = last !== null && sample.at - last <= intervalMs * 2.5;
    last = sample.at;
    const to = `${x(sample.at).toFixed(1)} ${y(sample[key]).toFixed(1)}`;
    // A line of no length, with round ends, is a dot: a point without neighbours is seen, too.
    return isNext ? `L${to}` : `M${to}h0`;
  }).join("");
}
