// What the controls change, and the beginning.

function update() {
  drawGrid();
  drawPicked();
  drawDumbbells();
  drawCost();
  drawSeries();
  drawCloser();
}

function chooseTable(number) {
  Object.assign(state, {
    table: number,
    base: null,
    sortRows: null,
    sortColumns: null,
    closerTask: null,
    closerEncoder: null,
  });
  const probes = Object.keys(table().probes);
  if (!probes.includes(state.probe)) state.probe = probes[0];
  drawControls();
  update();
}

function drawControls() {
  offer(
    byId("results"),
    CONTENT.tables.map((one, i) => [i, tableName(one)]),
    state.table,
  );
  const probes = byId("probes");
  fill(
    probes,
    probes.firstElementChild,
    Object.entries(table().probes).map(([probe, name]) =>
      el(
        "label",
        {},
        el("input", {
          type: "radio",
          name: "probe",
          value: probe,
          checked: probe === state.probe,
          onchange: () => {
            state.probe = probe;
            state.sortColumns = null;
            update();
          },
        }),
        el("span", {}, name),
      ),
    ),
  );
  offer(
    byId("base"),
    [["", "scores"], ...table().columns.map((column, i) => [i, `difference to ${column.name}`])],
    state.base ?? "",
  );
  fill(
    byId("notes").querySelector("ul"),
    table().notes.map((note) => el("li", {}, note)),
  );
  byId("notes").querySelector("summary").textContent = `Notes (${table().notes.length})`;
}

function tableName(one) {
  return [
    one.protocol,
    `${one.seeds} seed${one.seeds === 1 ? "" : "s"}`,
    one.limit === null ? null : `limited to ${one.limit} clips`,
  ]
    .filter(Boolean)
    .join(", ");
}

function drawPicked() {
  const columns = pickedColumns(),
    place = byId("picked");
  const full = columns.length >= MOST_PICKED;
  fill(
    place,
    place.firstElementChild,
    shownColumns().map((c) => {
      const on = columns.includes(c);
      return el(
        "label",
        {class: "tick"},
        el("input", {
          type: "checkbox",
          checked: on,
          disabled: !on && full,
          "data-pick": c,
          onchange: (event) => {
            state.picked ??= new Set(columns.map(nameOf));
            state.picked[event.target.checked ? "add" : "delete"](nameOf(c));
            update();
            place.querySelector(`[data-pick="${c}"]`)?.focus();
          },
        }),
        nameOf(c),
      );
    }),
    full ? el("span", {class: "note"}, `at most ${MOST_PICKED}`) : null,
  );
}

function listen() {
  byId("results").addEventListener("change", (event) => chooseTable(Number(event.target.value)));
  byId("base").addEventListener("change", (event) => {
    state.base = event.target.value === "" ? null : Number(event.target.value);
    update();
  });
  for (const name of ["tasks", "encoders"]) {
    byId(name).addEventListener("input", (event) => {
      state[name] = event.target.value;
      update();
    });
  }
  byId("bars").addEventListener("change", (event) => {
    state.bars = event.target.checked;
    drawGrid();
  });
  byId("clear").addEventListener("click", () => {
    Object.assign(state, {tasks: "", encoders: "", bars: true, picked: null});
    byId("controls").reset();
    chooseTable(state.table);
  });
  for (const id of ["costScore", "costKind"]) byId(id).addEventListener("change", drawCost);
  byId("seriesScore").addEventListener("change", drawSeries);
  byId("closerTask").addEventListener("change", (event) => {
    state.closerTask = event.target.value;
    drawCloser();
  });
  byId("closerEncoder").addEventListener("change", (event) => {
    state.closerEncoder = event.target.value;
    drawCloser();
  });
  const table = byId("grid");
  table.addEventListener("keydown", gridKeys);
  table.addEventListener("mouseover", showTip);
  table.addEventListener("focusin", gridFocus);
  for (const kind of ["mouseleave", "focusout"]) table.addEventListener(kind, hideTip);
  for (const part of [byId("frame"), document]) part.addEventListener("scroll", placeTip);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hideTip();
  });
  document.addEventListener("submit", (event) => event.preventDefault());
}

function summary() {
  const days = CONTENT.days.length ? `, measured ${CONTENT.days.join(" to ")}` : "";
  return `From ${CONTENT.files} result file${CONTENT.files === 1 ? "" : "s"}${days}.`;
}

byId("summary").textContent = summary();
drawCodecs();
if (CONTENT.tables.length) {
  listen();
  chooseTable(0);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update);
}
document.documentElement.dataset.ready = "yes";
