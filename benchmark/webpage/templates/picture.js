// How a picture is drawn: by Vega-Lite, when it comes into view, with its numbers below.

const HUES = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00"],
  dark: ["#56b4e9", "#e69f00", "#2fc79a", "#e79ac4", "#f5f5f5", "#ff8a4c"],
};
const SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"];
const DASHES = [
  [1, 0],
  [6, 3],
  [2, 2],
  [10, 3, 2, 3],
  [4, 4],
  [1, 3],
];
const waiting = new Map(); // element -> what draws it, once it is seen
const views = new Map(); // element -> the drawn view

const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const seen = new IntersectionObserver(
  (entries) =>
    entries.forEach((entry) => {
      if (!entry.isIntersecting) return;
      const draw = waiting.get(entry.target);
      seen.unobserve(entry.target);
      waiting.delete(entry.target);
      draw?.();
    }),
  {rootMargin: "300px"},
);

/** Draw into an element when it comes into view. heads, rows: the same as a table of numbers. */
function picture(place, name, rows, {heads, title, change = () => {}}) {
  views.get(place)?.finalize();
  views.delete(place);
  if (!rows.length) {
    fill(place);
    return;
  }
  const canvas = el("div", {
    class: "canvas",
    role: "img",
    "aria-label": `${title}. The numbers are in the table below.`,
  });
  const numbers = el(
    "details",
    {
      ontoggle: () => {
        if (numbers.open && numbers.children.length === 1) {
          numbers.append(
            plainTable(
              [
                Object.keys(heads),
                ...rows.map((row) => Object.values(heads).map((key) => row[key] ?? "")),
              ],
              title,
            ),
          );
        }
      },
    },
    el("summary", {}, "Numbers"),
  );
  fill(
    place,
    el(
      "figure",
      {},
      el(
        "figcaption",
        {},
        title,
        document.documentElement.hasAttribute("data-synthetic")
          ? el("span", {class: "mark"}, "synthetic")
          : null,
      ),
      canvas,
      numbers,
    ),
  );
  waiting.set(place, async () => {
    const spec = structuredClone(CONTENT.charts[name]);
    change(spec);
    const facts = {
      width: "container",
      autosize: {type: "fit-x", contains: "padding"},
      ...spec,
      data: {values: rows},
    };
    await libraryLoaded;
    const made = await window.vegaEmbed(canvas, facts, {
      mode: "vega-lite",
      renderer: "svg",
      actions: false,
      ast: true,
      defaultStyle: false,
      tooltip: {disableDefaultStyle: true, theme: "page"},
      config: looks(),
    });
    views.set(place, made);
  });
  seen.observe(place);
}

// modules run after this script, in their turn
const libraryLoaded = new Promise((resolve) => {
  if (document.readyState === "complete") resolve();
  else window.addEventListener("load", resolve);
});

function looks() {
  const [text, soft, line] = [ink("--ink"), ink("--soft"), ink("--line")];
  const hues = HUES[isDark() ? "dark" : "light"];
  const narrow = window.innerWidth < 640;
  return {
    background: "transparent",
    font: getComputedStyle(document.body).fontFamily,
    view: {stroke: null},
    axis: {
      labelColor: text,
      titleColor: soft,
      gridColor: line,
      domainColor: soft,
      tickColor: soft,
      labelFontSize: 12,
      titleFontSize: 12,
      titleFontWeight: "normal",
      labelLimit: narrow ? 105 : 220,
    },
    legend: {
      labelColor: text,
      titleColor: soft,
      labelFontSize: 12,
      titleFontSize: 12,
      orient: "top",
      columns: narrow ? 2 : 6,
      symbolOpacity: 1,
      labelLimit: 230,
      symbolSize: 90,
      titleFontWeight: "normal",
    },
    range: {category: hues, symbol: SHAPES},
    text: {color: text, fontSize: 12},
    rule: {color: soft},
    point: {color: hues[0]},
  };
}

/** Give each encoder its colour, shape and dash, and the legend as many columns as fit. */
const encoderScales = (spec, names, place) => {
  const scale = {domain: names};
  const longest = Math.min(26, Math.max(...names.map((name) => name.length)));
  const columns = Math.max(1, Math.floor((place.clientWidth - 60) / (7.5 * longest + 36)));
  for (const part of [spec, ...(spec.layer ?? [])]) {
    for (const [channel, range] of [
      ["color", HUES[isDark() ? "dark" : "light"]],
      ["shape", SHAPES],
      ["strokeDash", DASHES],
    ]) {
      const own = part.encoding?.[channel];
      if (own?.field === "encoder")
        part.encoding[channel] = {
          ...own,
          legend: {...own.legend, columns},
          scale: {...scale, range: names.map((_, i) => range[i % range.length])},
        };
    }
  }
};
