// The table of tasks by encoders. Tab reaches one place of it, arrow keys the others.

// lines: what can have the focus, line by line; places: where each of it is; at: which has it
const grid = {lines: [], places: new Map(), at: null, told: null};

function drawGrid() {
  const columns = shownColumns(),
    rows = shownRows();
  const widest = Math.max(
    0.01,
    ...rows.flatMap((r) =>
      columns.flatMap((c) => [valueAt(r, c) ?? 0, ...(intervalAt(r, c) ?? [])].map(Math.abs)),
    ),
  );
  grid.lines = [];
  const head = gridHead(columns);
  const bodies = [
    el(
      "tbody",
      {},
      overallMeans().map((mean) => meanRow(mean, columns)),
    ),
  ];
  for (const domain of DOMAINS) {
    const own = rows.filter((r) => table().rows[r].domain === domain);
    if (own.length) {
      bodies.push(
        el(
          "tbody",
          {},
          domainRow(domain, columns),
          own.map((r) => gridRow(r, columns, widest)),
        ),
      );
    }
  }
  fill(byId("grid"), head, bodies);
  byId("frame").classList.toggle("bars", state.bars);
  drawCaption(rows, columns);
  grid.places = new Map(grid.lines.flatMap((line, i) => line.map((one, j) => [one, [i, j]])));
  const [line, place] = grid.at ?? firstScore();
  const last = grid.lines[Math.min(line, grid.lines.length - 1)];
  standAt(last[Math.min(place, last.length - 1)]);
}

/** The place of the first score, where Tab goes at first. */
function firstScore() {
  const line = grid.lines.findIndex((own) => own[1]?.classList.contains("cell"));
  return line < 0 ? [0, 0] : [line, 1];
}

function drawCaption(rows, columns) {
  const all = probeRows().length,
    every = table().columns.length;
  const probe = table().probes[state.probe],
    without = table().rows.length - all;
  const parts = [table().caption, probe];
  if (state.base !== null) parts.push(`difference to ${nameOf(state.base)}`);
  if (rows.length < all) parts.push(`${rows.length} of ${all} tasks`);
  if (columns.length < every) parts.push(`${columns.length} of ${every} encoders`);
  if (without) parts.push(`${without} task${without > 1 ? "s have" : " has"} no ${probe}`);
  if (!rows.length || !columns.length) parts.push("nothing fits the filter");
  byId("caption").textContent = parts.join(" · ");
  byId("bold").textContent =
    state.base === null
      ? "best of its row, or not told from it"
      : `differs from ${nameOf(state.base)}`;
}

/** A line of the table: keeps what of it can have the focus. */
function keepLine(focusable) {
  for (const one of focusable) one.setAttribute("tabindex", "-1");
  grid.lines.push(focusable);
}

function gridHead(columns) {
  const corner = el("th", {scope: "col", class: "corner"}, "task");
  const buttons = columns.map((c) => {
    const sort = state.sortRows?.column === c ? state.sortRows : null;
    const published = table().columns[c].published;
    return el(
      "button",
      {
        type: "button",
        class: "sort",
        "data-column": c,
        title: published?.citation ?? "sort tasks by this encoder",
        onclick: () => sortBy("sortRows", {column: c}, `button[data-column="${c}"]`),
      },
      nameOf(c),
      arrow(sort),
    );
  });
  const floor = majorityHead();
  keepLine([corner, ...buttons, ...floor]);
  return el(
    "thead",
    {},
    el(
      "tr",
      {},
      corner,
      columns.map((c, i) => {
        const sort = state.sortRows?.column === c ? state.sortRows : null;
        return el(
          "th",
          {
            scope: "col",
            class: table().columns[c].published ? "published" : null,
            "aria-sort": sort ? (sort.down ? "descending" : "ascending") : null,
          },
          buttons[i],
        );
      }),
      floor,
    ),
  );
}

function arrow(sort) {
  return el("span", {class: "arrow", "aria-hidden": "true"}, sort ? (sort.down ? "▼" : "▲") : "");
}

/** Best first, then worst first, then as it was. */
function sortBy(which, facts, selector) {
  const now = state[which];
  const same = now && Object.keys(facts).every((key) => now[key] === facts[key]);
  state[which] = !same ? {...facts, down: true} : now.down ? {...facts, down: false} : null;
  update();
  byId("grid").querySelector(selector)?.focus();
}

/** A line's head: its button sorts the encoders by the line. */
function rowHead(key, text, note, scope = "row") {
  const sort = state.sortColumns?.key === key ? state.sortColumns : null;
  const button = el(
    "button",
    {
      type: "button",
      class: "sort",
      "aria-pressed": String(Boolean(sort)),
      "data-key": key,
      title: "sort encoders by this row",
      onclick: () => sortBy("sortColumns", {key}, `[data-key="${CSS.escape(key)}"]`),
    },
    text,
    arrow(sort),
  );
  return [button, el("th", {scope}, button, el("span", {class: "note"}, note))];
}

function overallMeans() {
  return means().filter(isOverall);
}

const countOf = (mean) => mean.cells[0]?.[2] ?? 0;

function meanRow(mean, columns) {
  const text = mean.name === "mean of all" ? "mean of all tasks" : mean.name;
  const [button, head] = rowHead(`mean:${mean.name}`, text, `${countOf(mean)} tasks`);
  const cells = [...columns.map((c) => meanCell(mean, c)), ...majorityMean(mean)];
  keepLine([button, ...cells]);
  return el("tr", {class: "mean"}, head, cells);
}

function domainRow(domain, columns) {
  const mean = means().find((one) => one.name === `mean of ${domain}`);
  if (!mean) {
    const span = columns.length + 1 + (majority() ? 1 : 0);
    const head = el("th", {scope: "rowgroup", colspan: span}, domain);
    return el("tr", {class: "domain"}, head);
  }
  const note = `mean of ${countOf(mean)} tasks`;
  const [button, head] = rowHead(`mean:${mean.name}`, domain, note, "rowgroup");
  const cells = [...columns.map((c) => meanCell(mean, c)), ...majorityMean(mean)];
  keepLine([button, ...cells]);
  return el("tr", {class: "domain"}, head, cells);
}

function meanCell(mean, c) {
  const [value, tasks, of] = meanAt(mean, c);
  const isBase = c === state.base && isNumber(value);
  const other = isNumber(mean.cells[c][0]) ? "no task of both" : "–";
  const text = isBase ? "base" : isNumber(value) ? shown(value) : other;
  const over = !isBase && tasks < of && isNumber(value) ? `${tasks} of ${of}` : null;
  return el(
    "td",
    {role: "gridcell", class: isNumber(value) ? "number" : "number missing"},
    text,
    over ? el("span", {class: "note"}, over) : null,
  );
}

// The column of what a guess scores: at the right, sorted by nothing, in no comparison.

function majorityHead() {
  const floor = majority();
  if (!floor) return [];
  const title = "what a guess scores that has not heard the audio";
  return [el("th", {scope: "col", class: "floor", title}, floor.name)];
}

function majorityScore(r) {
  const floor = majority();
  if (!floor) return [];
  const value = floor.scores[state.probe][r];
  return [floorCell(isNumber(value) ? fixed(value) : "", null)];
}

function majorityMean(mean) {
  const floor = majority();
  if (!floor) return [];
  const [value, tasks, of] = floor.means[state.probe][mean.name];
  const over = tasks < of && isNumber(value) ? `${tasks} of ${of}` : null;
  return [floorCell(fixed(value), over)];
}

const floorCell = (text, over) =>
  el(
    "td",
    {role: "gridcell", class: "number floor"},
    text,
    over ? el("span", {class: "note"}, over) : null,
  );

function gridRow(r, columns, widest) {
  const row = table().rows[r];
  const [button, head] = rowHead(`row:${r}`, row.title, row.metric);
  const cells = [...columns.map((c) => scoreCell(r, c, widest)), ...majorityScore(r)];
  keepLine([button, ...cells]);
  return el("tr", {}, head, cells);
}

function scoreCell(r, c, widest) {
  const cell = table().rows[r].cells[c],
    score = scoreAt(r, c),
    value = valueAt(r, c);
  const kind = cell === null ? "missing" : cell.status;
  const style = kind === "not applicable" ? "missing" : kind;
  const made = el("td", {
    role: "gridcell",
    class: `cell number ${style}${isBold(r, c) ? " best" : ""}`,
    "data-row": r,
    "data-column": c,
    "aria-label": told(r, c).join("; "),
    onclick: () => {
      made.focus();
      openCell(r, c);
    },
  });
  if (!isNumber(value)) made.append(wordOf(kind, c));
  else if (c === state.base) made.append("base");
  else {
    made.append(shown(value), barOf(value, intervalAt(r, c), widest));
    if (score[4]) made.append(el("span", {class: "note"}, score[4]));
  }
  return made;
}

/** Of scores: best of the row or not told from it. Of differences: told from 0. */
function isBold(r, c) {
  if (state.base === null) return Boolean(scoreAt(r, c)?.[3]);
  const interval = intervalAt(r, c);
  return interval !== null && (interval[0] > 0 || interval[1] < 0);
}

function wordOf(kind, c) {
  if (kind === "failed") return "✕ failed";
  if (kind === "not applicable") return kind;
  if (kind !== "missing") return "not computable";
  return table().columns[c].published ? "" : "not run";
}

/** Score and interval on a line from 0 to 1; of differences on one with 0 in its middle. */
function barOf(value, interval, widest) {
  const share = (score) => (state.base === null ? score : 0.5 + score / widest / 2);
  const percent = (part) => `${(100 * Math.min(1, Math.max(0, part))).toFixed(1)}%`;
  const bar = el("span", {class: "bar", "aria-hidden": "true"});
  if (state.base !== null) bar.append(el("span", {class: "zero"}));
  if (interval) {
    const [low, high] = interval.map(share);
    const place = {"--from": percent(low), "--to": percent(1 - high)};
    bar.append(el("span", {class: "range", place}));
  }
  bar.append(el("span", {class: "dot", place: {"--at": percent(share(value))}}));
  return bar;
}

/** What is said of a cell, line by line. */
function told(r, c) {
  const row = table().rows[r],
    cell = row.cells[c],
    score = scoreAt(r, c);
  const lines = [`${row.title} · ${nameOf(c)}`];
  if (cell === null) return [...lines, table().columns[c].published ? "not published" : "not run"];
  if (cell.status === "failed") return [...lines, `failed: ${cell.details.error}`];
  if (cell.status === "not applicable")
    return [...lines, `not applicable: ${cell.details.error}`];
  if (!score) return [...lines, "not computable"];
  const facts = cell.details?.scores?.[state.probe];
  const confidence = facts ? `${Number((100 * facts.confidence).toPrecision(4))} %` : "";
  const interval = isNumber(score[1])
    ? `${confidence} interval ${fixed(score[1])} to ${fixed(score[2])}`
    : score[4]
      ? `${score[4]} for an interval`
      : "no interval";
  lines.push(`${row.metric} ${fixed(score[0])}, ${interval}`);
  if (state.base !== null && c !== state.base && isNumber(valueAt(r, c))) {
    lines.push(toldDifference(r, c, confidence));
  }
  if (cell.status === "published") return [...lines, "published, not measured here"];
  if (facts) {
    lines.push(
      isNumber(facts.spread)
        ? `${facts.seeds.length} seeds, standard deviation ${fixed(facts.spread, 4)}`
        : "one run, no spread over seeds",
    );
    lines.push(`${facts.items} items of ${facts.sources} sources`);
  }
  if (state.base === null && score[3]) lines.push("best of its row, or not told from it");
  return lines;
}

function toldDifference(r, c, confidence) {
  const interval = intervalAt(r, c),
    to = `${signed(valueAt(r, c))} to ${nameOf(state.base)}`;
  if (interval) {
    const [low, high] = interval.map((bound) => signed(bound));
    const differs = isBold(r, c) ? "differs" : "not told apart";
    return `${to}, ${confidence} interval ${low} to ${high} (paired): ${differs}`;
  }
  const few = scoreAt(r, c)?.[4];
  if (few) return `${to}, ${few} for an interval`;
  return table().differences
    ? `${to}, no interval`
    : `${to}; for its interval: run_bench.py compare`;
}

/** Make a place of the table the one that Tab reaches. */
function standAt(one) {
  const before = grid.at && grid.lines[grid.at[0]]?.[grid.at[1]];
  before?.setAttribute("tabindex", "-1");
  one?.setAttribute("tabindex", "0");
  grid.at = grid.places.get(one) ?? null;
}

function gridFocus(event) {
  if (grid.places.has(event.target)) standAt(event.target);
  showTip(event);
}

function gridKeys(event) {
  const at = grid.places.get(event.target);
  if (!at) return;
  const [line, place] = at,
    last = grid.lines.length - 1;
  const to = {
    ArrowUp: [line - 1, place],
    ArrowDown: [line + 1, place],
    ArrowLeft: [line, place - 1],
    ArrowRight: [line, place + 1],
    Home: [event.ctrlKey ? 0 : line, 0],
    End: [event.ctrlKey ? last : line, Infinity],
  }[event.key];
  const {row, column} = event.target.dataset;
  if (to) {
    const own = grid.lines[Math.min(last, Math.max(0, to[0]))];
    own[Math.min(own.length - 1, Math.max(0, to[1]))].focus();
  } else if (row !== undefined && (event.key === "Enter" || event.key === " ")) {
    openCell(Number(row), Number(column));
  } else return;
  event.preventDefault();
}

function showTip(event) {
  const cell = event.target.closest?.(".cell");
  if (!cell) {
    hideTip();
    return;
  }
  const lines = told(Number(cell.dataset.row), Number(cell.dataset.column));
  fill(
    byId("tip"),
    lines.map((line) => el("span", {}, line)),
  );
  byId("tip").hidden = false;
  grid.told = cell;
  placeTip();
}

/** Beside its cell, which may be scrolled: keys move the cells under the pointer. */
function placeTip() {
  const tip = byId("tip");
  if (tip.hidden) return;
  const box = grid.told.getBoundingClientRect();
  const left = Math.min(box.left, window.innerWidth - tip.offsetWidth - 8);
  const below = box.bottom + 6 + tip.offsetHeight < window.innerHeight;
  tip.style.setProperty("left", `${Math.max(8, left)}px`);
  tip.style.setProperty("top", `${below ? box.bottom + 6 : box.top - tip.offsetHeight - 6}px`);
}

const hideTip = () => {
  byId("tip").hidden = true;
};
