// The query server's answers, as the page uses them. The only place that knows the names of their fields.

function list(value) {
  return Array.isArray(value) ? value : [];
}

function table(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};
}

function numeric(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** A distribution; without values, nothing is known of it. */
function distribution(value) {
  const given = table(value);
  const isEmpty = !numeric(given.count);
  const names = ["count", "mean", "min", "max", "p50", "p90", "p99", "p999"];
  return Object.fromEntries(names.map((name) => [name, isEmpty ? null : numeric(given[name])]));
}

/** A page of data types. */
export function dataTypesFrom(answer) {
  return { total: numeric(answer.total) ?? 0, items: list(answer.items).map(dataTypeFrom) };
}

/** A data type: what serves, how fast, what went wrong. */
export function dataTypeFrom(answer) {
  return {
    dataType: answer.dataType,
    id: answer.id,
    state: answer.state,
    serving: answer.serving ? servingFrom(answer.serving) : null,
    throughput: numeric(answer.throughput),
    scored: numeric(answer.scored),
    failed: numeric(answer.failed),
    missing: numeric(answer.missing),
    waiting: numeric(answer.waiting),
    deadLetters: table(answer.deadLetters),
    latency: distribution(answer.latency),
    scoring: distribution(answer.scoring),
    rejected: list(answer.rejected).map((one) => ({
      name: one.name,
      version: one.version,
      reason: one.detail,
      at: numeric(one.ts),
    })),
  };
}

function servingFrom(serving) {
  return {
    name: serving.name,
    description: serving.description,
    version: serving.version,
    modelType: serving.modelType,
    sha256: serving.sha256,
    previous: serving.previous,
    since: numeric(serving.since),
    size: numeric(serving.size),
    loadMs: numeric(serving.loadMs),
  };
}

/** The course of a data type, and its swaps, both the oldest first. */
export function seriesFrom(answer) {
  return {
    intervalMs: (numeric(answer.intervalS) ?? 1) * 1000,
    samples: list(answer.points).map((point) => ({
      at: numeric(point.ts),
      throughput: numeric(point.throughput),
      p50: numeric(point.p50),
      p99: numeric(point.p99),
    })),
    swaps: list(answer.swaps).map((swap) => ({
      at: numeric(swap.ts),
      name: swap.name,
      version: swap.state === "ACTIVE" ? swap.version : "",
      previous: swap.previous,
    })),
  };
}

/** The versions of a data type, the newest first. */
export function versionsFrom(answer) {
  return list(answer.versions).map((version) => ({
    name: version.name,
    version: version.version,
    modelType: version.modelType,
    since: numeric(version.since),
    until: numeric(version.until) || null,
    serving: version.serving === true,
    scored: numeric(version.scored),
    failed: numeric(version.failed),
    missing: numeric(version.missing),
    latency: distribution(version.latency),
    scoring: distribution(version.scoring),
    results: resultsFrom(table(version.results)),
    fields: withLately(list(version.fields).map(fieldFrom), list(version.lately)),
  }));
}

function resultsFrom(results) {
  return {
    labels: Object.entries(table(results.labels)),
    otherLabels: numeric(results.otherLabels) ?? 0,
    histogram: list(results.histogram).map((bin) => ({
      from: numeric(bin.from),
      to: numeric(bin.to),
      count: numeric(bin.count) ?? 0,
    })),
    mean: numeric(results.mean),
    deviation: numeric(results.deviation),
  };
}

// The index over all records hardly moves once a version has served long.
function withLately(fields, lately) {
  const indexes = new Map(lately.map((field) => [field.field, numeric(field.psi)]));
  return fields.map((field) => ({ ...field, psiLately: indexes.get(field.name) ?? null }));
}

function fieldFrom(field) {
  const reference = table(field.reference);
  return {
    name: field.field,
    count: numeric(field.count),
    psi: numeric(field.psi),
    missing: numeric(field.missingShare),
    mean: numeric(field.mean),
    source: reference.source,
    referenceCount: numeric(reference.count),
    referenceMissing: numeric(reference.missingShare),
    referenceMean: numeric(reference.mean),
  };
}

/** Dead letters, the newest first. */
export function lettersFrom(answer) {
  return list(answer.items).map((letter) => ({
    key: `letter ${letter.partition} ${letter.offset}`,
    at: numeric(letter.ts),
    reason: letter.reason,
    detail: letter.detail,
    dataType: letter.dataType,
    model: letter.model,
    version: letter.version,
    topic: letter.topic,
    size: numeric(letter.size),
    bytes: decoded(letter.payload),
  }));
}

/** How many dead letters there are of each reason, in all and without a data type. */
export function letterCountsFrom(answer) {
  return { counts: answer.counts ?? {}, withoutDataType: answer.withoutDataType ?? {} };
}

function decoded(base64) {
  try {
    return Uint8Array.from(atob(base64 ?? ""), (one) => one.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

/** What the model said of one record. */
export function scoreFrom(answer) {
  return {
    result: numeric(answer.result),
    label: answer.label,
    outputs: table(answer.outputs),
    name: answer.name,
    version: answer.version,
  };
}

/** The data type that an event is about. */
export function dataTypeOfEvent(content) {
  return content?.dataType;
}

const MODEL_TYPES = ["TensorFlow graph", "SavedModel", "PMML", "ONNX", "TensorFlow Serving", "Open Inference"];

/** The kind of model by its number on the wire. */
export function modelTypeName(value) {
  return typeof value === "number" ? MODEL_TYPES[value] ?? `kind ${value}` : String(value ?? "");
}
