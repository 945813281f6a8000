// What the reports share: words, tables and charts from the JSON that the program put into the page. Charts are
// Vega-Lite specifications; `vega` and `vegaLite` stand above this script in the page.
"use strict";

const results = JSON.parse(document.getElementById("results").textContent);

// Three significant digits: "0.480", "17.6", "−0.00123". null: a number that is not there.
const significant = (value, digits = 3) => value === null ? "–" : vega.defaultLocale().format(`.${digits}r`)(value);
const meanAndError = (estimate) => `${significant(estimate.mean)}\u00a0±\u00a0${significant(estimate.standard_error, 2)}`;

function element(name, text = "", cssClass = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (cssClass) made.className = cssClass;
  return made;
}

// <b data-value="checks.holding"></b> becomes what the results have there.
function fillWords() {
  for (const place of document.querySelectorAll("[data-value]")) {
    place.textContent = place.dataset.value.split(".").reduce((object, key) => object[key], results);
  }
}

// A cell: a text, or {text, note, cssClass, number}.
function cell(name, content) {
  const {text, note, cssClass, number} = typeof content === "string" ? {text: content} : content;
  const made = element(name, "", number ? "number" : "");
  made.append(cssClass ? element("span", text, cssClass) : text);
  if (note) made.append(element("span", note, "note"));
  return made;
}
const numberCell = (text, note) => ({text, note, number: true});

// The first cell of a row is its heading.
function table(id, head, rows) {
  const made = element("table");
  const heading = made.createTHead().insertRow();
  heading.append(...head.map((content) => cell("th", content)));
  const body = made.createTBody();
  for (const row of rows) body.insertRow().append(...row.map((content, i) => cell(i === 0 ? "th" : "td", content)));
  document.getElementById(id).append(made);
}

function claimsTable(id, columns) {
  const finding = (found) => found === null ? "–" : {
    text: found.holds ? "✓ holds" : "✗ does not hold", cssClass: found.holds ? "good" : "bad", note: found.numbers};
  table(id, ["Claim, and the rule it is judged by", ...columns], results.claims.map((claim) =>
    [{text: claim.statement, note: claim.rule}, ...claim.findings.map(finding)]));
}

// How the methods are drawn, everywhere: each colour with a dash of its own.
const METHOD_STYLES = {
  plain: {ink: "vermilion", dash: [7, 3]},
  importance: {ink: "blue", dash: [8, 3, 2, 3]},
  robust: {ink: "green", dash: []},
  authors: {ink: "purple", dash: [2, 2.5]},
};
const GROUP_INKS = ["orange", "sky", "green", "purple", "vermilion", "blue", "grey"];
const GROUP_DASHES = [[], [7, 3], [2, 2.5], [8, 3, 2, 3]];
const groupStyle = (group) =>
  ({ink: GROUP_INKS[group % GROUP_INKS.length], dash: GROUP_DASHES[group % GROUP_DASHES.length]});

// DPO's loss is a negative log-likelihood, IPO's the square of a log-ratio.
const lossUnit = (family) => family === "DPO" ? "nats" : "nats²";

function lengthened([low, high], scale, share = 0.06) {
  if (scale === "log") {
    const [from, to] = lengthened([Math.log(low), Math.log(high)], "linear", share);
    return [Math.exp(from), Math.exp(to)];
  }
  const margin = (high - low || Math.abs(high) || 1) * share;
  return [low - margin, high + margin];
}

// Powers of ten where there are two of them at least; else Vega's own choice.
function logTicks([low, high]) {
  const powers = [];
  for (let power = Math.ceil(Math.log10(low)); power <= Math.floor(Math.log10(high) + 1e-9); ++power) {
    powers.push(10 ** power);
  }
  return powers.length > 1 ? {values: powers, format: powers[0] < 0.001 ? ".0e" : "~s"} : {format: "~g"};
}

const isDrawn = (scale) => (value) => value !== null && (scale !== "log" || value > 0);

// A curve: {name, ink, dash, at, series: {mean, low, high}}, series over `at`, the band absent without low.
// An axis: {title, scale: "log" or "linear", domain, clipToMeans, share: true for what is between 0 and 1}.
function lineChart({title, x, y, curves, points}) {
  const drawn = isDrawn(y.scale);
  const seen = curves.flatMap(({series}) =>
    [...series.mean, ...(y.clipToMeans ? [] : [...(series.low ?? []), ...(series.high ?? [])])].filter(drawn));
  const padded = lengthened([Math.min(...seen), Math.max(...seen)], y.scale);
  const domain = y.domain ?? (y.share ? [Math.max(padded[0], 0), Math.min(padded[1], 1)] : padded);
  const within = (value) => Math.min(Math.max(value, domain[0]), domain[1]);
  const values = curves.flatMap(({name, at, series}) => at.map((position, i) => ({
    name, at: position, mean: drawn(series.mean[i]) ? series.mean[i] : null,
    low: series.low ? within(series.low[i]) : null, high: series.high ? within(series.high[i]) : null,
  })).filter((point) => isDrawn(x.scale)(point.at)));
  const axis = ({title: text, scale}, range) => ({title: text, ...(scale === "log" ? logTicks(range) : {})});
  const xRange = x.domain ?? [Math.min(...values.map((v) => v.at)), Math.max(...values.map((v) => v.at))];
  const position = {field: "at", type: "quantitative", scale: {type: x.scale ?? "linear", domain: xRange, nice: false},
                    axis: {...axis(x, xRange), grid: false}};
  const height = (field) => ({field, type: "quantitative", axis: axis(y, domain),
                              scale: {type: y.scale ?? "linear", domain, nice: false}});
  return (inks) => {
    const names = curves.map(({name}) => name);
    const color = {field: "name", type: "nominal", title: null, legend: {symbolOpacity: 1, symbolStrokeWidth: 2},
                   scale: {domain: names, range: curves.map(({ink}) => inks[ink])}};
    const strokeDash = {...color, scale: {domain: names, range: curves.map(({dash}) => dash)}};
    const tooltip = [{field: "name", title: "curve"}, {field: "at", title: x.title, format: ".6~r"},
                     ...["mean", "low", "high"].map((field) => ({field, title: field, format: ".4r"}))];
    return {
      title, height: 190, data: {values},
      layer: [
        {transform: [{filter: "datum.low !== null"}], mark: {type: "area", opacity: 0.16, clip: true},
         encoding: {x: position, y: height("low"), y2: {field: "high"}, color}},
        {mark: {type: "line", strokeWidth: 1.8, clip: true}, encoding: {x: position, y: height("mean"), color, strokeDash}},
        {mark: {type: "point", filled: true, size: 36, opacity: points ? 1 : 0},
         encoding: {x: position, y: height("mean"), color, tooltip}},
      ],
    };
  };
}

// A bar: {name, ink, estimate: {mean, low, high}}; the whisker is the confidence interval, of what is never negative.
// An axis: {title, share: true for what is at most 1}.
function barChart({title, x, bars}) {
  const values = bars.map(({name, estimate: {mean, low, high}}) => ({
    name, mean, low: Math.max(low, 0), high: x.share ? Math.min(high, 1) : high, text: significant(mean)}));
  const longest = Math.max(...values.flatMap(({mean, high}) => [mean, high ?? mean]));
  const axis = {title: x.title, ...(x.share ? {values: [0, 0.25, 0.5, 0.75, 1]} : {tickCount: 4})};
  const length = (field) => ({field, type: "quantitative", axis,
                              scale: {domain: [0, longest * 1.22 || 1], nice: false}});
  const row = {field: "name", type: "nominal", sort: null, axis: {title: null, grid: false, ticks: false, domain: false}};
  return (inks) => ({
    title, height: 21 * bars.length, data: {values}, encoding: {y: row},
    layer: [
      {mark: {type: "bar", opacity: 0.85},
       encoding: {x: length("mean"), color: {field: "name", type: "nominal", legend: null,
                  scale: {domain: bars.map(({name}) => name), range: bars.map(({ink}) => inks[ink])}}}},
      {mark: {type: "rule", color: inks.text}, encoding: {x: length("low"), x2: {field: "high"}}},
      {transform: [{calculate: "max(datum.mean, datum.high)", as: "end"}],
       mark: {type: "text", align: "left", dx: 4, color: inks.text}, encoding: {x: length("end"), text: {field: "text"}}},
    ],
  });
}

function vegaConfig(inks) {
  const font = getComputedStyle(document.body).fontFamily;
  return {
    background: null, font, view: {stroke: null},
    title: {anchor: "start", frame: "group", color: inks.text, fontSize: 12.5, fontWeight: 600, offset: 8},
    axis: {labelColor: inks.muted, titleColor: inks.muted, titleFontWeight: 400, labelFontSize: 11, titleFontSize: 11.5,
           gridColor: inks.grid, domainColor: inks.axis, tickColor: inks.axis, tickCount: 5, labelLimit: 110,
           labelFlush: true},
    legend: {orient: "bottom", direction: "horizontal", columns: 2, labelColor: inks.text, labelFontSize: 11.5,
             labelLimit: 130, symbolType: "stroke", symbolSize: 500, symbolStrokeWidth: 2, rowPadding: 3, offset: 6},
  };
}

// Charts stand in <figure> elements, one or more in each, in a row that the page has under `id`.
const charts = [];
function row(id, cssClass, figures) {
  const made = element("div", "", `charts ${cssClass}`);
  for (const specs of figures) {
    const figure = element("figure");
    for (const spec of [specs].flat()) {
      const place = element("div");
      charts.push({place, spec});
      figure.append(place);
    }
    made.append(figure);
  }
  document.getElementById(id).append(made);
}

function heading(id, text) {
  document.getElementById(id).append(element("h3", text));
}

function drawCharts() {
  const style = getComputedStyle(document.documentElement);
  const inks = Object.fromEntries(
    ["text", "muted", "grid", "axis", ...Object.values(METHOD_STYLES).map(({ink}) => ink), ...GROUP_INKS]
      .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  for (const chart of charts) {
    chart.view?.finalize();
    const spec = vegaLite.compile({width: "container", autosize: {type: "fit-x", contains: "padding"}, config: vegaConfig(inks), ...chart.spec(inks)}).spec;
    chart.view = new vega.View(vega.parse(spec), {renderer: "svg", container: chart.place, hover: true});
    chart.view.run();
  }
}

function showReport() {
  fillWords();
  drawCharts();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCharts);
}
