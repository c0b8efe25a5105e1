// Score along something that columns follow each other by, as layers do.

/** Hidden where no encoder has several of them. */
function drawSeries() {
  const shownPlaces = new Set(shownColumns());
  const groups = table().series.map((one) => ({
    ...one,
    points: one.points.filter(([c]) => shownPlaces.has(c)),
  }));
  const several = groups.filter((one) => one.points.length > 1);
  // one picture has one axis: columns of another are left out, and named
  const kept = several.filter((one) => one.along === several[0].along);
  const others = several.filter((one) => one.along !== several[0].along);
  byId("series").hidden = !kept.length;
  if (!kept.length) return;
  offer(byId("seriesScore"), costChoices(), byId("seriesScore").value);
  const chosen = byId("seriesScore").value;
  const mean = means().find((one) => `mean:${one.name}` === chosen);
  const r = Number(chosen.slice(4));
  const valueOf = (c) => (mean ? mean.cells[c][0] : scoreAt(r, c)?.[0]);
  const boundOf = (c, which) => (mean ? null : (scoreAt(r, c)?.[which] ?? null));
  const rows = kept.flatMap((one) =>
    one.points
      .filter(([c]) => isNumber(valueOf(c)))
      .map(([c, place]) => ({
        encoder: one.name,
        place,
        value: valueOf(c),
        low: boundOf(c, 1),
        high: boundOf(c, 2),
        shown: isNumber(boundOf(c, 1))
          ? `${fixed(valueOf(c))} [${fixed(boundOf(c, 1))} ${fixed(boundOf(c, 2))}]`
          : fixed(valueOf(c)),
      })),
  );
  const isPartial = ([c]) => mean.cells[c][1] < mean.cells[c][2];
  const partial = mean && kept.some((one) => one.points.some(isPartial));
  byId("seriesNote").textContent = [
    kept[0]?.along === "layer"
      ? `The ${table().probes[state.probe]} on each layer; 0 is what goes into the first.`
      : `The ${table().probes[state.probe]} by the argument ${kept[0].along}.`,
    others.length ? `Not drawn: ${others.map((one) => `${one.name} by ${one.along}`).join(", ")}.` : null,
    partial ? "Some means are over fewer tasks." : null,
  ]
    .filter(Boolean)
    .join(" ");
  const score = mean ? mean.name : (table().rows[r]?.title ?? "");
  const along = kept[0].along;
  picture(byId("seriesChart"), "series", rows, {
    title: `${score} (${table().probes[state.probe]}) by ${along}`,
    heads: {encoder: "encoder", [along]: "place", score: "shown"},
    change: (spec) => {
      encoderScales(
        spec,
        kept.map((one) => one.name),
        byId("seriesChart"),
      );
      spec.encoding.x.title = along;
      for (const layer of spec.layer) layer.encoding.y.title = score;
      if (!rows.some((row) => isNumber(row.low))) spec.layer.splice(0, 1);
    },
  });
}
