// Elements of the page. Text goes in as text, never as HTML.

const byId = (id) => document.getElementById(id);

/** An element: el("td", {class: "cell", onclick: f}, "text", child). */
function el(tag, facts = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "place")
      for (const [key, at] of Object.entries(value)) made.style.setProperty(key, at);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(
    ...children
      .flat(Infinity)
      .filter((child) => child !== null && child !== undefined)
      .map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))),
  );
  return made;
}

function fill(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

/** Options of a select: pairs of value and text; keeps what was chosen where it is still there. */
function offer(select, pairs, chosen) {
  fill(
    select,
    pairs.map(([value, text]) => el("option", {value}, text)),
  );
  const wanted = pairs.some(([value]) => String(value) === String(chosen)) ? chosen : pairs[0]?.[0];
  select.value = wanted ?? "";
}

/** A small table of rows of texts: [[head, ...], [cell, ...], ...]. */
function plainTable([heads, ...rows], name) {
  return el(
    "div",
    {class: "plain"},
    el(
      "table",
      {"aria-label": name},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          heads.map((head) => el("th", {scope: "col"}, head)),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((row) =>
          el(
            "tr",
            {},
            row.map((cell, i) => (i ? el("td", {}, cell) : el("th", {scope: "row"}, cell))),
          ),
        ),
      ),
    ),
  );
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** Rounded as by benchmark/io/rounding.py: exact to ten decimals, then in decimal, a tie to even. */
function rounded(value, digits) {
  const exact = Math.abs(value).toFixed(10);
  if (exact.includes("e")) return value.toFixed(digits);
  const end = exact.length - 10 + digits;
  const rest = exact.slice(end);
  const half = "5".padEnd(10 - digits, "0");
  let whole = BigInt(exact.slice(0, end).replace(".", ""));
  if (rest > half || (rest === half && whole % 2n === 1n)) whole += 1n;
  const shown = String(whole).padStart(digits + 1, "0");
  const cut = shown.length - digits;
  const text = digits ? `${shown.slice(0, cut)}.${shown.slice(cut)}` : shown;
  return value < 0 && whole ? `-${text}` : text;
}

const fixed = (value, digits = 3) => (isNumber(value) ? rounded(value, digits) : "–");
const signed = (value, digits = 3) => {
  const text = rounded(Math.abs(value), digits);
  return Number(text) === 0 ? text : (value < 0 ? "−" : "+") + text;
};

function amount(value) {
  if (!isNumber(value)) return "not known";
  if (value === 0) return "0";
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ]) {
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))} ${unit}`;
  }
  return String(Number(value.toPrecision(3)));
}

function duration(seconds) {
  if (!isNumber(seconds)) return "not known";
  if (seconds < 60) return `${Number(seconds.toPrecision(3))} s`;
  const whole = Math.round(seconds),
    minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
