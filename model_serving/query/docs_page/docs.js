// Shows openapi.json of this server. All of it is put in as text, never as markup.

function element(name, content, attributes = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...[content].flat());
  return made;
}

function paragraphs(text) {
  return (text ?? "").split(/\n\s*\n/).filter(Boolean).map((part) => {
    const pieces = part.split(/`([^`]*)`/);
    return element("p", pieces.map((piece, place) => (place % 2 ? element("code", piece) : piece)));
  });
}

function table(titles, rows) {
  const head = element("tr", titles.map((title) => element("th", title, { scope: "col" })));
  const body = rows.map((row) => element("tr", row.map((cell) => element("td", cell))));
  return element("table", [element("thead", head), element("tbody", body)]);
}

function typeOf(schema = {}) {
  if (schema.anyOf) return schema.anyOf.map(typeOf).filter((name) => name !== "null").join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  const given = schema.default === undefined || schema.default === "" ? "" : `, default ${schema.default}`;
  return `${schema.type ?? "value"}${given}`;
}

function route(method, path, description) {
  const parts = [
    element("summary", [element("span", method.toUpperCase(), { class: "method" }), " ", element("code", path), " ",
      description.summary ?? ""]),
    ...paragraphs(description.description),
  ];
  const parameters = description.parameters ?? [];
  if (parameters.length > 0) {
    parts.push(table(["parameter", "in", "type", "meaning"], parameters.map((one) => [
      element("code", one.name), one.in, typeOf(one.schema), one.description ?? "",
    ])));
  }
  const bodies = Object.keys(description.requestBody?.content ?? {});
  if (bodies.length > 0) parts.push(element("p", `Body: ${bodies.join(" or ")}.`));
  parts.push(table(["status", "meaning"], Object.entries(description.responses ?? {}).map(
    ([status, one]) => [element("code", status), one.description ?? ""],
  )));
  return element("details", parts);
}

async function show() {
  const target = document.getElementById("routes");
  try {
    const answer = await fetch("openapi.json");
    const description = await answer.json();
    const byTag = new Map();
    for (const [path, methods] of Object.entries(description.paths)) {
      for (const [method, one] of Object.entries(methods)) {
        const tag = one.tags?.[0] ?? "other";
        byTag.set(tag, [...(byTag.get(tag) ?? []), route(method, path, one)]);
      }
    }
    target.replaceChildren(...[...byTag].flatMap(([tag, routes]) => [element("h2", tag), ...routes]));
  } catch (error) {
    target.textContent = `The description cannot be loaded: ${error.message}`;
  }
}

show();
