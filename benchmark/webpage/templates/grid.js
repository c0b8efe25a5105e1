// The table of tasks by encoders.

const grid = {at: [0, 0], cells: []}; // the cell that Tab reaches, and all of them, row by row

function drawGrid() {
  const columns = shownColumns(), rows = shownRows();
  const widest = Math.max(0.01, ...rows.flatMap((r) => columns.flatMap((c) =>
    [valueAt(r, c) ?? 0, ...(intervalAt(r, c) ?? [])].map(Math.abs))));
  grid.cells = [];
  const bodies = [gridMeans(columns, null)];
  for (const domain of DOMAINS) {
    const own = rows.filter((r) => table().rows[r].domain === domain);
    if (own.length) {
      bodies.push(el("tbody", {}, gridDomain(domain, columns),
        own.map((r) => gridRow(r, columns, widest))));
    }
  }
  fill(byId("grid"), gridHead(columns), bodies);
  byId("frame").classList.toggle("bars", state.bars);
  drawCaption(rows, columns);
  grid.at = [Math.min(grid.at[0], grid.cells.length - 1), Math.min(grid.at[1], columns.length - 1)];
  currentCell()?.setAttribute("tabindex", "0");
}

const currentCell = () => grid.cells[grid.at[0]]?.[grid.at[1]];

function drawCaption(rows, columns) {
  const all = probeRows().length, every = table().columns.length;
  const without = table().rows.length - all;
  const parts = [table().caption, table().probes[state.probe]];
  if (state.base !== null) parts.push(`difference to ${nameOf(state.base)}`);
  if (rows.length < all) parts.push(`${rows.length} of ${all} tasks`);
  if (columns.length < every) parts.push(`${columns.length} of ${every} encoders`);
  if (without) parts.push(`${without} task${without > 1 ? "s have" : " has"} no ${table().probes[state.probe]}`);
  if (!rows.length || !columns.length) parts.push("nothing fits the filter");
  byId("caption").textContent = parts.join(" · ");
}

function gridHead(columns) {
  return el("thead", {}, el("tr", {},
    el("th", {scope: "col", class: "corner"}, "task"),
    columns.map((c) => {
      const sort = state.sortRows?.column === c ? state.sortRows : null;
      const column = table().columns[c];
      return el("th", {
        scope: "col", class: column.published ? "published" : null,
        "aria-sort": sort ? (sort.down ? "descending" : "ascending") : null,
      }, el("button", {
        type: "button", class: "sort", title: column.published?.citation ?? "sort tasks by this encoder",
        onclick: () => sortBy("sortRows", {column: c}, `[data-column="${c}"]`), "data-column": c,
      }, column.name, arrow(sort)));
    })));
}

const arrow = (sort) => el("span", {class: "arrow", "aria-hidden": "true"}, sort ? (sort.down ? "▼" : "▲") : "");

/** Best first, then worst first, then as it was. */
function sortBy(which, facts, selector) {
  const now = state[which];
  const same = now && Object.keys(facts).every((key) => now[key] === facts[key]);
  state[which] = !same ? {...facts, down: true} : now.down ? {...facts, down: false} : null;
  update();
  byId("grid").querySelector(selector)?.focus();
}

function rowHead(key, text, note, facts = {}) {
  const sort = state.sortColumns?.key === key ? state.sortColumns : null;
  return el("th", {scope: "row", ...facts}, el("button", {
    type: "button", class: "sort", "aria-pressed": String(Boolean(sort)), "data-key": key,
    title: "sort encoders by this row",
    onclick: () => sortBy("sortColumns", {key}, `[data-key="${CSS.escape(key)}"]`),
  }, text, arrow(sort)), note ? el("span", {class: "note"}, note) : null);
}

function gridMeans(columns) {
  const own = means().filter((mean) => !DOMAINS.some((domain) => mean.name === `mean of ${domain}`));
  return el("tbody", {}, own.map((mean) => el("tr", {class: "mean"},
    rowHead(`mean:${mean.name}`, mean.name === "mean of all" ? "mean of all tasks" : mean.name,
      `${mean.cells[0]?.[2] ?? 0} tasks`),
    columns.map((c) => meanCell(mean, c)))));
}

function gridDomain(domain, columns) {
  const mean = means().find((one) => one.name === `mean of ${domain}`);
  if (!mean) return el("tr", {class: "domain"}, el("th", {scope: "rowgroup", colspan: columns.length + 1}, domain));
  return el("tr", {class: "domain"},
    rowHead(`mean:${mean.name}`, domain, `mean of ${mean.cells[0]?.[2] ?? 0} tasks`, {scope: "rowgroup"}),
    columns.map((c) => meanCell(mean, c)));
}

function meanCell(mean, c) {
  const [value, tasks, of] = mean.cells[c];
  const now = meanAt(mean, c);
  const over = tasks < of && isNumber(value) ? `${tasks} of ${of}` : null;
  const text = isNumber(now) ? shown(now) : isNumber(value) ? "other tasks" : "–";
  return el("td", {class: isNumber(now) ? "number" : "number missing"}, text,
    over ? el("span", {class: "note"}, over) : null);
}

function gridRow(r, columns, widest) {
  const row = table().rows[r];
  const line = grid.cells.length;
  grid.cells.push(columns.map((c, i) => scoreCell(r, c, widest, [line, i])));
  return el("tr", {}, rowHead(`row:${r}`, row.title, row.metric), grid.cells[line]);
}

function scoreCell(r, c, widest, at) {
  const cell = table().rows[r].cells[c], score = scoreAt(r, c), value = valueAt(r, c);
  const kind = cell === null ? "missing" : cell.status;
  const made = el("td", {
    role: "gridcell", tabindex: "-1", class: `cell number ${kind}${score?.[3] ? " best" : ""}`,
    "data-row": r, "data-column": c, "aria-label": told(r, c).join("; "),
    onclick: () => { moveTo(at); openCell(r, c); },
  });
  if (isNumber(value)) {
    made.append(c === state.base ? "base" : shown(value),
      c === state.base ? "" : barOf(value, intervalAt(r, c), widest));
  } else {
    made.append(kind === "failed" ? "✕ failed" : kind === "missing" ? missingWord(c) : "not computable");
  }
  return made;
}

const missingWord = (c) => (table().columns[c].published ? "" : "not run");

/** Score and interval on a line from 0 to 1; of differences on one with 0 in its middle. */
function barOf(value, interval, widest) {
  const share = (score) => (state.base === null ? score : 0.5 + score / widest / 2);
  const percent = (part) => `${(100 * Math.min(1, Math.max(0, part))).toFixed(1)}%`;
  const bar = el("span", {class: "bar", "aria-hidden": "true"});
  if (state.base !== null) bar.append(el("span", {class: "zero"}));
  if (interval) {
    const [low, high] = interval.map(share);
    bar.append(el("span", {class: "range", place: {"--from": percent(low), "--to": percent(1 - high)}}));
  }
  bar.append(el("span", {class: "dot", place: {"--at": percent(share(value))}}));
  return bar;
}

/** What is said of a cell, line by line. */
function told(r, c) {
  const row = table().rows[r], cell = row.cells[c], score = scoreAt(r, c);
  const lines = [`${row.title} · ${nameOf(c)}`];
  if (cell === null) return [...lines, table().columns[c].published ? "not published" : "not run"];
  if (cell.status === "failed") return [...lines, `failed: ${cell.details.error}`];
  if (!score) return [...lines, "not computable"];
  const facts = cell.details?.scores?.[state.probe];
  const confidence = facts ? `${Number((100 * facts.confidence).toPrecision(4))} %` : "";
  lines.push(isNumber(score[1])
    ? `${row.metric} ${fixed(score[0])}, ${confidence} interval ${fixed(score[1])} to ${fixed(score[2])}`
    : `${row.metric} ${fixed(score[0])}, no interval`);
  if (state.base !== null && c !== state.base && isNumber(valueAt(r, c))) lines.push(toldDifference(r, c, confidence));
  if (cell.status === "published") return [...lines, "published, not measured here"];
  if (facts) {
    lines.push(isNumber(facts.spread)
      ? `${facts.seeds.length} seeds, standard deviation ${fixed(facts.spread, 4)}` : "one run, no seeds");
    lines.push(`${facts.items} items of ${facts.sources} sources`);
  }
  if (score[3]) lines.push("best of its row, or not told from it");
  return lines;
}

function toldDifference(r, c, confidence) {
  const interval = intervalAt(r, c), to = `${signed(valueAt(r, c))} to ${nameOf(state.base)}`;
  if (interval) return `${to}, ${confidence} interval ${signed(interval[0])} to ${signed(interval[1])} (paired bootstrap)`;
  return table().differences ? `${to}, no interval` : `${to}; for its interval: run_bench.py compare`;
}

function moveTo([line, place]) {
  currentCell()?.setAttribute("tabindex", "-1");
  grid.at = [line, place];
  currentCell()?.setAttribute("tabindex", "0");
  currentCell()?.focus();
}

function gridKeys(event) {
  const cell = event.target.closest(".cell");
  if (!cell) return;
  const [line, place] = grid.at;
  const last = [grid.cells.length - 1, grid.cells[line].length - 1];
  const to = {
    ArrowUp: [line - 1, place], ArrowDown: [line + 1, place], ArrowLeft: [line, place - 1],
    ArrowRight: [line, place + 1], Home: [event.ctrlKey ? 0 : line, 0],
    End: [event.ctrlKey ? last[0] : line, last[1]],
  }[event.key];
  if (event.key === "Enter" || event.key === " ") {
    openCell(Number(cell.dataset.row), Number(cell.dataset.column));
  } else if (to) {
    moveTo([Math.min(last[0], Math.max(0, to[0])), Math.min(last[1], Math.max(0, to[1]))]);
  } else return;
  event.preventDefault();
}

function showTip(event) {
  const cell = event.target.closest?.(".cell");
  if (!cell) return;
  const tip = byId("tip");
  fill(tip, told(Number(cell.dataset.row), Number(cell.dataset.column)).map((line) => el("span", {}, line)));
  tip.hidden = false;
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

const hideTip = () => { byId("tip").hidden = true; };
