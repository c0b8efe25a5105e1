// What the page holds, and what of it is shown now.

const CONTENT = JSON.parse(byId("content").textContent);
const fact = (place) => CONTENT.facts[place];
const DOMAINS = ["speech", "sound", "music"];
const MOST_PICKED = 6;

const state = {
  table: 0,
  probe: "linear",
  base: null,
  tasks: "",
  encoders: "",
  bars: true,
  sortRows: null, // {column, down}: tasks by an encoder's score
  sortColumns: null, // {key, down}: encoders by a task ("row:3") or a mean ("mean:mean of all")
  picked: null, // names of encoders in the pictures; null: the first that are shown
  closerTask: null,
  closerEncoder: null,
};

const table = () => CONTENT.tables[state.table];
const nameOf = (column) => table().columns[column].name;

/** Whether a name holds any of the parts that were typed; all where nothing was. */
function matches(typed, ...names) {
  const parts = typed
    .toLowerCase()
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);
  const text = names.join("\n").toLowerCase();
  return !parts.length || parts.some((part) => text.includes(part));
}

/** Rows of tasks that the probe measures, whatever is filtered. */
function probeRows() {
  return table()
    .rows.map((_, i) => i)
    .filter((i) => table().rows[i].probes.includes(state.probe));
}

/** A cell's score under the probe: [value, low, high, best], or null. */
function scoreAt(row, column) {
  return table().rows[row].cells[column]?.[state.probe] ?? null;
}

/** What is shown of a cell: its score, or its difference to the chosen encoder's; or null. */
function valueAt(row, column) {
  const own = scoreAt(row, column)?.[0];
  if (!isNumber(own)) return null;
  if (state.base === null) return own;
  const base = scoreAt(row, state.base)?.[0];
  return isNumber(base) ? own - base : null;
}

/** [low, high] of what is shown of a cell, or null. Of a difference: of pairs, by `compare`'s way. */
function intervalAt(row, column) {
  if (state.base === null) {
    const [, low, high] = scoreAt(row, column) ?? [];
    return isNumber(low) ? [low, high] : null;
  }
  // pairs of measured columns, in the order [0, 1], [0, 2], ..., [1, 2], ...; published ones are last
  const count = table().columns.filter((one) => !one.published).length;
  const [first, second] = [Math.min(column, state.base), Math.max(column, state.base)];
  if (first === second || second >= count) return null;
  const place = first * count - (first * (first + 1)) / 2 + second - first - 1;
  const pair = table().differences?.[row]?.[state.probe]?.[place];
  if (!pair) return null;
  return first === column ? pair : [-pair[1], -pair[0]];
}

/** A mean as it is shown: [value or null, over how many tasks, of how many]. */
function meanAt(mean, column) {
  if (state.base !== null) return meanDifference(mean, column);
  const [value, tasks, of] = mean.cells[column];
  return [isNumber(value) ? value : null, tasks, of];
}

/** The difference of two encoders' means over the tasks that both have; rows of one task are one. */
function meanDifference(mean, column) {
  const tasks = new Map();
  for (const r of probeRows()) {
    const row = table().rows[r],
      value = valueAt(r, column);
    if (!isNumber(value) || !(mean.name === `mean of ${row.domain}` || isOverall(mean))) continue;
    if (!tasks.has(row.name)) tasks.set(row.name, {weight: weightIn(mean, row), values: []});
    tasks.get(row.name).values.push(value);
  }
  let [sum, weights] = [0, 0];
  for (const {weight, values} of tasks.values()) {
    sum += (weight * values.reduce((total, value) => total + value, 0)) / values.length;
    weights += weight;
  }
  return [weights ? sum / weights : null, tasks.size, mean.cells[column][2]];
}

const isOverall = (mean) => !DOMAINS.some((domain) => mean.name === `mean of ${domain}`);
const weightIn = (mean, row) => (mean.name === "weighted mean" ? row.weight : 1);
/** What a guess scores that has not heard the audio; null where not known, and of differences. */
const majority = () => (state.base === null ? table().majority : null);

const means = () => table().means[state.probe] ?? [];
const shown = (value) => (state.base === null ? fixed(value) : signed(value));

function ordered(items, valueOf, down) {
  const known = items.filter((item) => isNumber(valueOf(item)));
  const rest = items.filter((item) => !isNumber(valueOf(item)));
  known.sort((a, b) => (down ? valueOf(b) - valueOf(a) : valueOf(a) - valueOf(b)));
  return [...known, ...rest];
}

/** Rows that are shown, in their order; within each domain sorted as asked. */
function shownRows() {
  const rows = probeRows().filter((i) => {
    const row = table().rows[i];
    return matches(state.tasks, row.title, row.name, row.domain);
  });
  if (!state.sortRows) return rows;
  return ordered(rows, (i) => valueAt(i, state.sortRows.column), state.sortRows.down);
}

/** Columns that are shown, in their order: a published one only where it has a value. */
function shownColumns() {
  const columns = table()
    .columns.map((_, i) => i)
    .filter(
      (i) =>
        matches(state.encoders, nameOf(i)) &&
        (!table().columns[i].published || probeRows().some((row) => scoreAt(row, i))),
    );
  if (!state.sortColumns) return columns;
  const {key, down} = state.sortColumns;
  const [kind, which] = [key.slice(0, key.indexOf(":")), key.slice(key.indexOf(":") + 1)];
  if (kind === "row") return ordered(columns, (i) => valueAt(Number(which), i), down);
  const mean = means().find((one) => one.name === which);
  return mean ? ordered(columns, (i) => meanAt(mean, i)[0], down) : columns;
}

/** Columns in the pictures. */
function pickedColumns() {
  const columns = shownColumns();
  if (!state.picked) return columns.slice(0, MOST_PICKED);
  return columns.filter((i) => state.picked.has(nameOf(i))).slice(0, MOST_PICKED);
}
