// Builds elements, and brings the page to a new state without replacing what stays the same: focus, selection
// and the place where a screen reader reads survive an update.

const SVG = "http://www.w3.org/2000/svg";

/** Returns an HTML element. A function is set as a property (`onclick`), `key` tells siblings apart. */
export function h(tag, attributes, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** Returns an SVG element. */
export function s(tag, attributes, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node[name] = value;
    else if (name === "key") node.pageKey = value;
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...flat(children));
  return node;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Makes `children` the children of `parent`; nodes that are there already are changed, not replaced. */
export function render(parent, ...children) {
  const wanted = flat(children).map((child) =>
    child instanceof Node ? child : document.createTextNode(String(child)),
  );
  const keyed = new Map();
  for (const node of parent.childNodes) if (node.pageKey !== undefined) keyed.set(node.pageKey, node);
  let place = parent.firstChild;
  for (const fresh of wanted) {
    const found = fresh.pageKey === undefined ? place : keyed.get(fresh.pageKey);
    if (found && isAlike(found, fresh)) {
      if (found === place) place = place.nextSibling;
      else parent.insertBefore(found, place);
      if (found !== fresh) update(found, fresh);
    } else {
      parent.insertBefore(fresh, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function isAlike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && one.pageKey === other.pageKey;
}

const HANDLERS = ["onclick", "oninput", "onchange", "onsubmit"];

function update(node, fresh) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.nodeValue !== fresh.nodeValue) node.nodeValue = fresh.nodeValue;
    return;
  }
  // A form keeps what the user has typed.
  if (node.hasAttribute("data-keep")) return;
  for (const { name } of [...node.attributes]) {
    // What the user has opened stays open.
    if (!fresh.hasAttribute(name) && name !== "open") node.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  for (const name of HANDLERS) if (node[name] !== fresh[name]) node[name] = fresh[name] ?? null;
  render(node, ...fresh.childNodes);
}

const MOST_ANNOUNCEMENTS = 5;

/** Adds to a live region, so that screen readers read the text once. */
export function announce(text) {
  const region = document.getElementById("announcements");
  region.append(h("p", {}, text));
  if (region.childElementCount > MOST_ANNOUNCEMENTS) region.firstElementChild.remove();
}
