// What codecs lose: tables, and pairs to hear and to look at.

const FACTS = {
  frame_rate: "frames/s",
  embedding_dim: "dim",
  values_per_second: "values/s",
  speed: "x real time",
};
const codecSort = new Map(); // number of the table -> {key, down}

function drawCodecs() {
  const place = byId("codecTables");
  if (!place) return;
  fill(
    place,
    CONTENT.codecs.map((board, number) =>
      el(
        "section",
        {class: "codec"},
        el("h3", {}, board.caption),
        codecTable(board, number),
        board.notes.length
          ? el(
              "details",
              {},
              el("summary", {}, "Notes"),
              el(
                "ul",
                {},
                board.notes.map((note) => el("li", {}, note)),
              ),
            )
          : null,
        board.pairs.map((pair) => pairOf(board, pair)),
        board.pairs.length
          ? null
          : el(
              "p",
              {class: "caption"},
              "No pairs to hear: reconstruct --save-audio DIR --plots DIR, then report --audio DIR --plots DIR.",
            ),
      ),
    ),
  );
}

function codecTable(board, number) {
  const sort = codecSort.get(number);
  const valueOf = (row) => (sort.key in FACTS ? row.facts[sort.key] : row.scores[sort.key][0]);
  const rows = sort ? ordered(board.rows, valueOf, sort.down) : board.rows;
  const head = (key, label, title, down) => {
    const now = sort?.key === key ? sort : null;
    return el(
      "th",
      {scope: "col", "aria-sort": now ? (now.down ? "descending" : "ascending") : null},
      el(
        "button",
        {
          type: "button",
          class: "sort",
          title,
          "data-sort": `${number}:${key}`,
          onclick: () => {
            codecSort.set(number, {key, down: now ? !now.down : down});
            drawCodecs();
            document.querySelector(`[data-sort="${CSS.escape(`${number}:${key}`)}"]`)?.focus();
          },
        },
        label,
        arrow(now),
      ),
    );
  };
  return el(
    "div",
    {class: "frame"},
    el(
      "table",
      {"aria-label": board.caption},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", {scope: "col", class: "corner"}, "codec"),
          Object.entries(FACTS).map(([key, label]) => head(key, label, label, key === "speed")),
          board.metrics.map((metric) =>
            head(
              metric.name,
              metric.label,
              `${metric.unit ? `${metric.unit}; ` : ""}${metric.higher ? "higher" : "lower"} is better`,
              metric.higher,
            ),
          ),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((row) => codecRow(board, row)),
      ),
    ),
  );
}

function codecRow(board, row) {
  const name = row.details
    ? el(
        "button",
        {
          type: "button",
          class: "sort",
          title: "what reproduces this row",
          onclick: () => openCodec(row),
        },
        row.name,
      )
    : row.name;
  const facts = Object.keys(FACTS).map((key) =>
    el(
      "td",
      {class: "number"},
      row.facts[key] ? (key === "speed" ? amount(row.facts[key]) : String(row.facts[key])) : "",
    ),
  );
  return el(
    "tr",
    {class: row.status},
    el("th", {scope: "row"}, name),
    facts,
    board.metrics.map((metric) => {
      const [value, low, high, missing] = row.scores[metric.name];
      if (row.status === "failed") return el("td", {class: "number failed"}, "✕ failed");
      if (!isNumber(value))
        return el(
          "td",
          {class: "number missing"},
          row.status === "published" ? "" : "not computable",
        );
      return el(
        "td",
        {class: "number"},
        fixed(value, metric.digits),
        isNumber(low)
          ? el(
              "span",
              {class: "note"},
              `${fixed(low, metric.digits)} … ${fixed(high, metric.digits)}`,
            )
          : null,
        missing ? el("span", {class: "note"}, `without ${missing}`) : null,
      );
    }),
  );
}

function openCodec(row) {
  const facts = row.details;
  openDialog(
    row.name,
    [
      facts.error ? el("p", {class: "error"}, `Failed: ${facts.error}`) : null,
      ...commandPart(facts.command),
      el("h3", {}, "Codec"),
      listOf(Object.entries(fact(facts.encoder))),
      el("h3", {}, "Settings"),
      listOf(Object.entries(fact(facts.settings))),
      el("h3", {}, "Data"),
      listOf(Object.entries(fact(facts.data))),
      facts.failures.length ? el("h3", {}, "What was lost") : null,
      facts.failures.length
        ? el(
            "ul",
            {},
            facts.failures.map((line) => el("li", {}, line)),
          )
        : null,
      ...timePart(facts.run),
      el("h3", {}, "Versions"),
      listOf(Object.entries(fact(facts.versions))),
    ],
    null,
  );
}

function pairOf(board, pair) {
  const title = pair.key + (pair.crop === null ? "" : `, crop ${pair.crop}`);
  const first = `the first ${pair.seconds} s, without loss`;
  return el(
    "article",
    {class: "pair"},
    el("h4", {}, title),
    pair.reference ? sound("reference", pair.reference, `${title}: reference, ${first}`) : null,
    el(
      "div",
      {class: "codecs"},
      board.rows
        .filter((row) => Object.hasOwn(pair.codecs, row.name))
        .map((row) => {
          const own = pair.codecs[row.name];
          return el(
            "figure",
            {},
            own.decoded
              ? sound(row.name, own.decoded, `${title}: ${row.name}, ${first}`)
              : el("figcaption", {}, row.name),
            own.picture
              ? el("img", {
                  src: CONTENT.media[own.picture],
                  loading: "lazy",
                  class: "spectrogram",
                  alt: `${title}: spectrograms of the reference and of what ${row.name} decoded`,
                })
              : null,
          );
        }),
    ),
  );
}

function sound(name, key, label) {
  return el(
    "div",
    {class: "sound"},
    el("span", {}, name),
    el("audio", {controls: true, preload: "none", src: CONTENT.media[key], "aria-label": label}),
  );
}
