// The pictures of tasks: what is drawn is in CONTENT.charts, here it gets its rows.

const COSTS = {
  speed: "x real time while embedding",
  parameters: "parameters",
  values_per_second: "latent values per second",
  bits_per_second: "bits per second, of codes",
};

const isRelative = () => state.base !== null;

function drawDumbbells() {
  const columns = pickedColumns(),
    names = columns.map(nameOf);
  const domains = DOMAINS.filter((domain) =>
    shownRows().some((r) => table().rows[r].domain === domain),
  );
  const places = byId("dumbbells");
  if (places.dataset.domains !== domains.join()) {
    places.dataset.domains = domains.join();
    fill(
      places,
      domains.map((domain) => el("div", {"data-domain": domain})),
    );
  }
  for (const domain of domains) {
    const rows = shownRows()
      .filter((r) => table().rows[r].domain === domain)
      .flatMap((r) => columns.filter((c) => isNumber(valueAt(r, c))).map((c) => dumbbellRow(r, c)));
    picture(places.querySelector(`[data-domain="${domain}"]`), "dumbbell", rows, {
      title: `${domain}: ${table().probes[state.probe]}${isRelative() ? `, difference to ${nameOf(state.base)}` : ""}`,
      heads: {task: "task", encoder: "encoder", score: "shown"},
      change: (spec) => {
        encoderScales(spec, names, byId("dumbbells"));
        spec.height = 26 * new Set(rows.map((row) => row.task)).size;
        if (!isRelative())
          for (const layer of spec.layer) layer.encoding.x.scale = {domain: [0, 1]};
        spec.layer[2].encoding.x.title = null;
        spec.layer[1].encoding.x.title = null;
        if (!rows.some((row) => isNumber(row.low))) spec.layer.splice(1, 1);
      },
    });
  }
}

function dumbbellRow(r, c) {
  const value = valueAt(r, c),
    interval = intervalAt(r, c);
  return {
    task: table().rows[r].title,
    encoder: nameOf(c),
    value,
    low: interval?.[0] ?? null,
    high: interval?.[1] ?? null,
    shown: interval
      ? `${shown(value)} [${shown(interval[0])} ${shown(interval[1])}]`
      : shown(value),
  };
}

function costChoices() {
  const widest = (mean) => mean.cells[0]?.[2] ?? 0; // the mean over the most tasks first
  return [
    ...[...means()]
      .sort((a, b) => widest(b) - widest(a))
      .map((mean) => [`mean:${mean.name}`, mean.name]),
    ...probeRows().map((r) => [`row:${r}`, table().rows[r].title]),
  ];
}

function drawCost() {
  offer(byId("costScore"), costChoices(), byId("costScore").value);
  offer(byId("costKind"), Object.entries(COSTS), byId("costKind").value);
  const chosen = byId("costScore").value,
    kind = byId("costKind").value;
  const mean = means().find((one) => `mean:${one.name}` === chosen);
  const valueOf = (c) => (mean ? mean.cells[c][0] : scoreAt(Number(chosen.slice(4)), c)?.[0]);
  const own = shownColumns().filter((c) => !table().columns[c].published && isNumber(valueOf(c)));
  const cost = (c) => table().columns[c].cost[kind];
  const drawn = own.filter((c) => isNumber(cost(c)) && (cost(c) > 0 || kind === "parameters"));
  const rows = drawn.map((c) => ({
    encoder: nameOf(c),
    value: valueOf(c),
    cost: cost(c),
    costShown: amount(cost(c)),
    device: kind === "speed" ? table().columns[c].cost.device : "encoder",
    label: drawn.length <= 16,
    shown:
      fixed(valueOf(c)) +
      (mean && mean.cells[c][1] < mean.cells[c][2]
        ? ` (${mean.cells[c][1]} of ${mean.cells[c][2]} tasks)`
        : ""),
  }));
  const lost = own.filter((c) => !drawn.includes(c)).map(nameOf);
  const partial = mean && own.some((c) => mean.cells[c][1] < mean.cells[c][2]);
  byId("costNote").textContent = [
    kind === "speed"
      ? "Audio embedded over the time that it took, without reading where nothing else is said. Compare on one device only."
      : null,
    lost.length ? `Not known, so not drawn: ${lost.join(", ")}.` : null,
    partial ? "Some means are over fewer tasks; the tooltip says over how many." : null,
    drawn.length > 16 ? "Names are in the tooltips and in the numbers." : null,
  ]
    .filter(Boolean)
    .join(" ");
  const score = mean ? mean.name : (table().rows[Number(chosen.slice(4))]?.title ?? "");
  picture(byId("costChart"), "cost", rows, {
    title: `${score} (${table().probes[state.probe]}) against ${COSTS[kind]}`,
    heads: {encoder: "encoder", score: "shown", [COSTS[kind]]: "costShown"},
    change: (spec) => {
      spec.encoding.x.title = COSTS[kind];
      spec.encoding.y.title = score;
      spec.encoding.x.axis = {format: "~s", labelOverlap: true, labelBound: true, grid: true};
      if (kind === "parameters" && rows.some((row) => row.cost === 0))
        spec.encoding.x.scale = {type: "symlog", constant: 1e6, padding: 50};
      if (!rows[0].label) spec.layer.splice(1, 1);
      if (kind !== "speed") {
        delete spec.layer[0].encoding.shape;
        spec.layer[0].encoding.tooltip.pop();
      }
    },
  });
}

function lookCloser(r, c) {
  Object.assign(state, {closerTask: r, closerEncoder: c});
  if (state.picked && !pickedColumns().includes(c)) state.picked.add(nameOf(c));
  drawCloser();
  byId("closer").scrollIntoView();
  byId("closerTask").focus({preventScroll: true});
}

function drawCloser() {
  const isDone = (r) => table().rows[r].cells.some((cell) => cell?.details?.scores?.[state.probe]);
  const tasks = probeRows().filter(isDone);
  offer(
    byId("closerTask"),
    tasks.map((r) => [r, table().rows[r].title]),
    state.closerTask,
  );
  if (!tasks.length) return;
  const r = Number(byId("closerTask").value);
  const done = shownColumns().filter(
    (c) => table().rows[r]?.cells[c]?.details?.scores?.[state.probe],
  );
  offer(
    byId("closerEncoder"),
    done.map((c) => [c, nameOf(c)]),
    state.closerEncoder,
  );
  const chosen = done.length ? Number(byId("closerEncoder").value) : null;
  drawCurves(
    r,
    done.filter((c) => c === chosen || pickedColumns().includes(c)),
  );
  drawShots(
    r,
    done.filter((c) => c === chosen || pickedColumns().includes(c)),
  );
  drawConfusion(r, chosen);
}

/** Score by clips a class; hidden where no encoder's result of the task has it. */
function drawShots(r, columns) {
  const kept = columns.filter((c) => table().rows[r].cells[c].shots);
  byId("shots").hidden = !kept.length;
  if (!kept.length) return;
  const lacking = columns.filter((c) => !kept.includes(c)).map(nameOf);
  byId("shotsNote").textContent = [
    "The linear probe on a few clips of each class: means of 10 draws. The band is the interval over the sources tested and the draws; of all clips, over the sources.",
    lacking.length ? `Not measured of: ${lacking.join(", ")}.` : null,
  ]
    .filter(Boolean)
    .join(" ");
  const rows = kept.flatMap((c) =>
    table()
      .rows[r].cells[c].shots.filter(([, clips, value]) => isNumber(clips) && isNumber(value))
      .map(([asked, clips, value, low, high]) => ({
        encoder: nameOf(c),
        asked: `${asked}`,
        clips,
        value,
        low,
        high,
        shown: isNumber(low) ? `${fixed(value)} [${fixed(low)} ${fixed(high)}]` : fixed(value),
      })),
  );
  const metric = table().rows[r].metric;
  picture(byId("shotsChart"), "shots", rows, {
    title: `${table().rows[r].title}: ${metric} by clips a class`,
    heads: {encoder: "encoder", "asked for": "asked", "clips a class": "clips", score: "shown"},
    change: (spec) => {
      encoderScales(spec, kept.map(nameOf), byId("shotsChart"));
      for (const layer of spec.layer) layer.encoding.y.title = metric;
      if (!rows.some((row) => isNumber(row.low))) spec.layer.splice(0, 1);
    },
  });
}

/** What chose the epoch: a protocol may let the very part do it that is tested. */
function epochChooser(cell) {
  const isTest = cell && fact(cell.details.protocol).validation === "test";
  return isTest
    ? {title: "test part", told: "the test part itself, as its protocol has it"}
    : {title: "validation", told: "the validation part"};
}

function drawCurves(r, columns) {
  const linear = (c) => table().rows[r].cells[c].details.scores.linear;
  const kept = columns.filter((c) => linear(c)?.validation || linear(c)?.path);
  const lacking = columns.filter((c) => !kept.includes(c)).map(nameOf);
  const chooser = epochChooser(table().rows[r]?.cells[kept[0]]);
  const byStrength = kept.some((c) => linear(c).path);
  const how = byStrength
    ? "Means over the folds. The strength with the least loss on the validation part was taken, fold by fold."
    : `Means over the heads of all seeds and folds. The epoch that was tested is the best on ${chooser.told}.`;
  byId("curvesNote").textContent = [
    state.probe === "knn" ? "kNN learns nothing; these are of the linear probe." : null,
    kept.length ? how : null,
    lacking.length ? `Not kept in the result file of: ${lacking.join(", ")}.` : null,
    columns.length ? null : "No result of the encoders in the pictures.",
  ]
    .filter(Boolean)
    .join(" ");
  const names = kept.map(nameOf);
  const charts = byStrength
    ? [
        ["lossChart", "path", "validation loss by strength"],
        ["validChart", "none", ""],
      ]
    : [
        ["lossChart", "loss", "training loss"],
        ["validChart", "validation", `${chooser.title}: ${table().rows[r]?.metric ?? ""}`],
      ];
  const along = byStrength ? "strength, power of ten" : "epoch";
  for (const [place, key, title] of charts) {
    const rows = kept.flatMap((c) =>
      (linear(c)[key] ?? [])
        .filter(([, value]) => isNumber(value))
        .map(([epoch, value]) => ({encoder: nameOf(c), epoch, value})),
    );
    picture(byId(place), "curves", rows, {
      title: `${table().rows[r]?.title}: ${title}`,
      heads: {encoder: "encoder", [along]: "epoch", value: "value"},
      change: (spec) => {
        encoderScales(spec, names, byId(place));
        spec.encoding.y.title = title;
        spec.encoding.x.title = along;
        if (byStrength) {
          spec.encoding.x.axis.format = "~g";
          spec.encoding.x.sort = "descending";
        }
      },
    });
  }
}

function drawConfusion(r, c) {
  const matrix = table().confusions[r],
    own = c === null ? null : matrix?.columns[c]?.[state.probe];
  byId("confusionNote").textContent = !own
    ? noMatrix(r, c)
    : [
        `${nameOf(c)}, ${table().probes[state.probe]}: of the clips of each true class, how many were taken for which.`,
        matrix.others
          ? `The ${matrix.names.length - 1} classes that are confused most, by all encoders together; the other ${matrix.others} are one.`
          : null,
        matrix.unmet
          ? `Left out: ${matrix.unmet} class${matrix.unmet > 1 ? "es" : ""} that no clip is of and none was taken for.`
          : null,
      ]
        .filter(Boolean)
        .join(" ");
  const rows = own ? matrixRows(matrix.names, own) : [];
  picture(byId("confusionChart"), "confusion", rows, {
    title: own ? `${table().rows[r].title} · ${nameOf(c)}` : "",
    heads: {true: "true", predicted: "predicted", "items a seed": "count", share: "percent"},
    change: (spec) => {
      const size = matrix.names.length,
        room = byId("confusionChart").clientWidth - 160;
      spec.height = size * (size > 30 ? 13 : 22);
      spec.width = Math.max(180, Math.min(room, size * (size > 30 ? 16 : 46)));
      spec.autosize = "pad";
      // all classes, those whose line is empty too
      for (const axis of ["x", "y"]) spec.encoding[axis].scale = {domain: matrix.names};
      if (!rows.some((row) => row.label)) spec.layer.splice(1, 1);
    },
  });
}

function noMatrix(r, c) {
  if (c === null) return "No result of this task.";
  return table().rows[r].one_class
    ? "No matrix: its predictions are not beside the result file, or are not those it names."
    : `No matrix: the clips of this task do not have one class each (${table().rows[r].metric}).`;
}

/** Every pair of classes, those that never met too. */
function matrixRows(names, {seeds, cells}) {
  const counts = names.map(() => names.map(() => 0));
  for (let i = 0; i < cells.length; i += 3) counts[cells[i]][cells[i + 1]] += cells[i + 2] / seeds;
  return names.flatMap((name, i) => {
    const total = counts[i].reduce((sum, count) => sum + count, 0);
    return names.map((other, j) => {
      const share = total ? counts[i][j] / total : null; // a class without a clip has no share
      return {
        true: name,
        predicted: other,
        count: Number(rounded(counts[i][j], 2)),
        share,
        percent: share === null ? "no clip" : `${rounded(100 * share, 1)} %`,
        label: names.length <= 12 && window.innerWidth > 640 && share >= 0.005,
      };
    });
  });
}
