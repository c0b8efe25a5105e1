// What reproduces a cell.

function openCell(r, c) {
  const row = table().rows[r],
    cell = row.cells[c],
    column = table().columns[c];
  const parts = [];
  if (cell === null) {
    parts.push(
      el(
        "p",
        {},
        column.published
          ? "No published value."
          : "Not run: there is no result file for this task and encoder.",
      ),
    );
  } else if (cell.status === "published") {
    parts.push(
      scoresOf(row, cell, null),
      el("h3", {}, "Published, not measured here"),
      listOf([
        ["system", column.published.system],
        ["source", column.published.citation],
        [
          "read",
          column.published.primary ? "at the source itself" : "second-hand, in another's table",
        ],
      ]),
    );
  } else parts.push(...resultParts(row, cell));
  openDialog(
    `${row.title} · ${column.name}`,
    parts,
    cell?.details?.scores ? () => lookCloser(r, c) : null,
  );
}

function resultParts(row, cell) {
  const facts = cell.details;
  const failures = [...(facts.failures ?? []), ...(facts.faults ?? [])];
  return [
    cell.status === "failed" ? el("p", {class: "error"}, `Failed: ${facts.error}`) : null,
    cell.status === "not applicable" ? el("p", {}, `Not applicable: ${facts.error}`) : null,
    facts.scores ? scoresOf(row, cell, facts) : null,
    facts.controls ? el("h3", {}, "Against permuted weights") : null,
    facts.controls ? el("ul", {}, facts.controls.map((line) => el("li", {}, line))) : null,
    ...commandPart(facts.command),
    el("h3", {}, "Encoder"),
    listOf(Object.entries(fact(facts.encoder))),
    el("h3", {}, "Protocol"),
    listOf(Object.entries(fact(facts.protocol))),
    el("h3", {}, "Data"),
    dataPart(facts),
    failures.length ? el("h3", {}, "What was lost") : null,
    failures.length
      ? el(
          "ul",
          {},
          failures.map((line) => el("li", {}, line)),
        )
      : null,
    ...timePart(facts.run),
    el("h3", {}, "Versions"),
    listOf(Object.entries(fact(facts.versions))),
    facts.file
      ? el(
          "p",
          {class: "caption"},
          `From ${facts.file}; licence of the data: ${facts.licence || "not stated"}.`,
        )
      : null,
  ];
}

function scoresOf(row, cell, facts) {
  const heads = ["probe", row.metric, "interval", "seeds", "SD", "items", "sources"];
  const lines = Object.entries(table().probes)
    .filter(([probe]) => cell[probe])
    .map(([probe, name]) => {
      const [value, low, high, , few] = cell[probe],
        more = facts?.scores?.[probe];
      return [
        name,
        fixed(value, 4),
        isNumber(low) ? `${fixed(low, 4)} to ${fixed(high, 4)}` : (few ?? "none"),
        more ? more.seeds.map((one) => fixed(one)).join(" ") : "",
        more ? fixed(more.spread, 4) : "",
        more?.items ?? "",
        more?.sources ?? "",
      ];
    });
  const also = Object.entries(facts?.scores ?? {}).flatMap(([probe, more]) => [
    ...(Object.entries(more.splits).length > 1
      ? [
          [
            `${probe}, by fold`,
            Object.entries(more.splits)
              .map(([fold, value]) => `${fold}: ${fixed(value)}`)
              .join("  "),
          ],
        ]
      : []),
    ...(more.fits
      ? [
          [
            `${probe}, strength of each fit`,
            Object.entries(more.fits)
              .map(([split, fit]) => `${split}: ${fit}`)
              .join("; "),
          ],
        ]
      : []),
    ...(more.epochs
      ? [
          [
            `${probe}, epochs tested`,
            Object.entries(more.epochs)
              .map(([fold, own]) => `${fold}: ${own.join(" ")}`)
              .join("   "),
          ],
        ]
      : []),
    ...Object.entries(more.also ?? {}).map(([name, value]) => [name, fixed(value, 4)]),
    ...(more.missing ? [["classes left out, without a positive item", more.missing]] : []),
    ...(more.too_short ? [["training clips too short for their text", more.too_short]] : []),
    ...(more.tokens ? [["tokens", more.tokens]] : []),
  ]);
  return el("div", {}, plainTable([heads, ...lines], "Scores"), also.length ? listOf(also) : null);
}

function commandPart(command) {
  if (!command) return [];
  const text = el("code", {tabindex: "0"}, command);
  const copy = el(
    "button",
    {
      type: "button",
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(command);
          copy.textContent = "Copied";
        } catch {
          getSelection().selectAllChildren(text);
          copy.textContent = "Selected";
        }
      },
    },
    "Copy",
  );
  return [el("h3", {}, "Command"), el("div", {class: "command"}, text, copy)];
}

function dataPart(facts) {
  const pairs = Object.entries(fact(facts.data)).map(([name, value]) => [
    name.replaceAll("_", " "),
    value,
  ]);
  const shards = fact(facts.shards) ?? [];
  return el(
    "div",
    {},
    listOf(pairs),
    shards.length
      ? el(
          "details",
          {},
          el("summary", {}, `${shards.length} shard${shards.length > 1 ? "s" : ""} with SHA-256`),
          plainTable([["shard", "split", "SHA-256"], ...shards], "Shards"),
        )
      : null,
  );
}

function timePart(run) {
  const times = Object.entries(run)
    .filter(([name]) => name !== "machine")
    .map(([name, value]) => [name.replaceAll("_", " "), isNumber(value) ? duration(value) : value]);
  const pairs = [...times, ...Object.entries(fact(run.machine) ?? {})];
  return pairs.length ? [el("h3", {}, "Time and machine"), listOf(pairs)] : [];
}

/** Names and values, as a description list. */
function listOf(pairs) {
  return el(
    "dl",
    {},
    pairs.map(([name, value]) => [
      el("dt", {}, name.replaceAll("_", " ")),
      el("dd", {}, worded(value)),
    ]),
  );
}

function worded(value) {
  if (value === null || value === undefined || value === "") return "none";
  if (Array.isArray(value)) return value.length ? value.map(worded).join(", ") : "none";
  if (typeof value === "object") {
    return Object.entries(value)
      .map(
        ([name, own]) =>
          `${name}: ${own && typeof own === "object" ? `{${worded(own)}}` : worded(own)}`,
      )
      .join(", ");
  }
  return typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
}

function openDialog(title, parts, closer) {
  const dialog = byId("details");
  const close = () => dialog.close();
  hideTip();
  fill(
    dialog,
    el(
      "header",
      {},
      el("h2", {id: "detailsTitle"}, title),
      document.documentElement.hasAttribute("data-synthetic")
        ? el("span", {class: "mark"}, "synthetic")
        : null,
      el("button", {type: "button", class: "close", "aria-label": "Close", onclick: close}, "✕"),
    ),
    el(
      "div",
      {class: "body"},
      parts.filter(Boolean),
      closer
        ? el(
            "p",
            {},
            el(
              "button",
              {
                type: "button",
                onclick: () => {
                  close();
                  closer();
                },
              },
              "Learning curves and confusion matrix",
            ),
          )
        : null,
    ),
  );
  dialog.showModal();
}
