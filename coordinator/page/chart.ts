// A chart of one quantity over steps: a line for each group with a band of one standard error on both sides.
import uPlot from "uplot";
import { h, replace, setText } from "./dom";
import { csv, mean, number } from "./format";
import type { Column } from "./api";

// A line and two steps of it, between which somebody has clicked: where it moved more of the two sides of the point.
export type OnJump = (label: string, from: number, to: number) => void;

export interface Line {
  label: string;
  values: Column;
  errors?: Column;
  dash?: boolean;
}

// Told apart by most people who do not see all colours, on dark and on light ground (after Okabe and Ito).
const kLight = ["#0b62a4", "#b34700", "#00704f", "#9a2f74", "#7a5c00", "#4b4bc8", "#b00020", "#3d5a5a"];
const kDark = ["#56b4e9", "#e69f5a", "#4fc89b", "#e38bc0", "#e2cf3f", "#a5a5ff", "#ff8a80", "#a9c4c4"];
const kTwoClicks = 250; // milliseconds, in which a second click makes two
const dark = matchMedia("(prefers-color-scheme: dark)");
export const colour = (at: number): string => (dark.matches ? kDark : kLight)[at % kLight.length]!;
const ink = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Of an axis: with as many digits as tell them apart.
function labels(splits: number[]): string[] {
  const apart = splits.length > 1 ? Math.abs(splits[1]! - splits[0]!) : 1;
  const most = Math.max(...splits.map(Math.abs));
  if (most >= 1e6 || apart < 1e-6) return splits.map((at) => (at === 0 ? "0" : at.toExponential(2)));
  let digits = 0;
  while (digits < 7 && splits.some((at) => Math.abs(Number(at.toFixed(digits)) - at) > apart / 100)) ++digits;
  return splits.map((at) => at.toFixed(digits));
}

export class Chart {
  readonly element: HTMLElement;
  private readonly place = h("div", { class: "plot" });
  private readonly legend = h("ul", { class: "legend" });
  private readonly step = h("span", { class: "step" });
  private values: HTMLElement[] = []; // of the lines, in the legend
  private readonly summary: HTMLElement;
  private plot: uPlot | null = null;
  private steps: number[] = [];
  private lines: Line[] = [];
  private shape = "";

  constructor(
    title: string,
    private readonly fileName: string,
    private readonly onJump?: OnJump,
  ) {
    const id = `chart-${fileName}`;
    this.summary = h("p", { class: "hidden", id: `${id}-text` });
    this.place.setAttribute("role", "img");
    this.place.setAttribute("aria-label", title);
    this.place.setAttribute("aria-describedby", `${id}-text`);
    this.element = h(
      "section",
      { class: "chart", "aria-labelledby": id },
      h(
        "header",
        {},
        h("h2", { id }, title),
        this.step,
        h(
          "button",
          { type: "button", class: "small", "aria-label": `CSV of ${title}`, click: () => this.save() },
          "CSV",
        ),
      ),
      this.place,
      this.legend,
      this.summary,
    );
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.place);
    dark.addEventListener("change", () => {
      this.shape = "";
      this.draw();
    });
  }

  // One without any value, as of accuracies in supervised fine-tuning, is not there.
  show(steps: number[], lines: Line[]): void {
    this.steps = steps;
    this.lines = lines;
    this.element.hidden = !lines.some((line) => line.values.some((value) => value !== null));
    this.draw();
  }

  private size() {
    return { width: Math.max(200, this.place.clientWidth), height: 236 };
  }

  private draw(): void {
    const shape = this.lines.map((line) => `${line.label}${line.errors ? "+" : ""}`).join("\n");
    const data = [this.steps, ...this.lines.flatMap((line) => [line.values, ...this.band(line)])] as uPlot.AlignedData;
    if (this.plot && shape === this.shape) this.plot.setData(data);
    else this.make(shape, data);
    this.showValues();
    const newest = this.lines.map(
      (line) => `${line.label} ${number([...line.values].reverse().find((value) => value !== null))}`,
    );
    const text =
      this.steps.length === 0
        ? "No values yet."
        : `At step ${this.steps[this.steps.length - 1]}: ${newest.join(", ")}.`;
    if (this.summary.textContent !== text) this.summary.textContent = text;
  }

  // In the legend what each line has at the cursor, or at the newest step, and the step beside the title.
  private showValues(): void {
    const at = this.plot?.cursor.idx ?? this.steps.length - 1;
    const step = this.steps[at];
    setText(this.step, step === undefined ? "" : `step ${step}`);
    this.lines.forEach((line, index) => {
      let known = at; // lines of other steps are drawn over gaps, too
      while (known >= 0 && line.values[known] == null) --known;
      setText(this.values[index]!, mean(line.values[known], line.errors?.[known]));
    });
  }

  private band(line: Line): Column[] {
    if (!line.errors) return [];
    const side = (sign: number) =>
      line.values.map((value, at) =>
        value === null || line.errors![at] == null ? value : value + sign * line.errors![at]!,
      );
    return [side(1), side(-1)];
  }

  private make(shape: string, data: uPlot.AlignedData): void {
    this.shape = shape;
    this.plot?.destroy();
    this.values = this.lines.map(() => h("span", { class: "value" }));
    const series: uPlot.Series[] = [{ label: "step" }],
      bands: uPlot.Band[] = [];
    this.lines.forEach((line, at) => {
      series.push({
        label: line.label,
        stroke: colour(at),
        width: 2,
        spanGaps: true,
        points: { size: 4 },
        ...(line.dash ? { dash: [6, 4] } : {}),
      });
      if (!line.errors) return;
      const upper = series.length;
      series.push(
        { label: "", stroke: "transparent", width: 0, points: { show: false }, spanGaps: true },
        { label: "", stroke: "transparent", width: 0, points: { show: false }, spanGaps: true },
      );
      bands.push({ series: [upper, upper + 1], fill: `${colour(at)}33` });
    });
    const axis = {
      stroke: ink("--ink"),
      grid: { stroke: ink("--grid"), width: 1 },
      ticks: { stroke: ink("--grid"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    this.plot = new uPlot(
      {
        ...this.size(),
        series,
        bands,
        legend: { show: false },
        cursor: { drag: { x: true, y: false } },
        scales: { x: { time: false } },
        axes: [
          { ...axis, size: 30, label: "step", labelSize: 18, labelFont: axis.font },
          { ...axis, size: 64, values: (_, splits) => labels(splits) },
        ],
        hooks: { setCursor: [() => this.showValues()] },
      },
      data,
      this.place,
    );
    this.listen(this.plot);
    replace(
      this.legend,
      ...this.lines.map((line, at) => {
        const mark = h("span", { class: "mark", "aria-hidden": "true" });
        mark.style.background = colour(at);
        return h("li", {}, mark, h("span", { class: "label", title: line.label }, line.label), " ", this.values[at]);
      }),
    );
  }

  // A click that is no drag, and not the first of two: those leave what was dragged.
  private listen(plot: uPlot): void {
    const { onJump } = this;
    if (!onJump) return;
    plot.over.classList.add("asks");
    let pressedAt = 0,
      waiting = 0;
    plot.over.addEventListener("mousedown", (event) => {
      pressedAt = event.clientX;
    });
    plot.over.addEventListener("click", (event) => {
      clearTimeout(waiting);
      if (event.detail > 1 || Math.abs(event.clientX - pressedAt) > 3) return;
      const box = plot.over.getBoundingClientRect();
      const left = event.clientX - box.left,
        top = event.clientY - box.top;
      waiting = window.setTimeout(() => this.jump(onJump, plot, left, top), kTwoClicks);
    });
  }

  private jump(onJump: OnJump, plot: uPlot, left: number, top: number): void {
    const at = plot.posToIdx(left);
    const away = (line: Line): number => {
      const value = line.values[at];
      return value === null || value === undefined ? Infinity : Math.abs(plot.valToPos(value, "y") - top);
    };
    const line = [...this.lines].sort((a, b) => away(a) - away(b))[0];
    if (!line || away(line) === Infinity) return;
    // Of the points where the line has a value.
    const known = (from: number, by: number): number => {
      while (from >= 0 && from < line.values.length && line.values[from] == null) from += by;
      return from;
    };
    const before = known(at - 1, -1),
      after = known(at + 1, 1);
    const move = (from: number, to: number): number =>
      line.values[from] == null || line.values[to] == null ? -1 : Math.abs(line.values[to]! - line.values[from]!);
    const isLeft = move(before, at) >= move(at, after);
    const [from, to] = isLeft ? [before, at] : [at, after];
    const last = this.steps[to];
    if (last !== undefined) onJump(line.label, this.steps[from] ?? Math.max(0, last - 1), last);
  }

  private save(): void {
    const heads = [
      "step",
      ...this.lines.flatMap((line) => [line.label, ...(line.errors ? [`${line.label} standard error`] : [])]),
    ];
    const rows = this.steps.map((step, at) => [
      step,
      ...this.lines.flatMap((line) => [line.values[at] ?? null, ...(line.errors ? [line.errors[at] ?? null] : [])]),
    ]);
    const link = h("a", {
      href: URL.createObjectURL(new Blob([csv([heads, ...rows])], { type: "text/csv" })),
      download: `${this.fileName}.csv`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}

// A line of losses without axes, for a row of the list.
export function sparkline(values: Column, label: string): SVGSVGElement {
  const kSvg = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(kSvg, "svg");
  svg.setAttribute("viewBox", "0 0 100 24");
  svg.setAttribute("class", "spark");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const points = values.filter((value): value is number => value !== null);
  const low = Math.min(...points),
    high = Math.max(...points);
  if (points.length < 2) return svg;
  const line = document.createElementNS(kSvg, "polyline");
  const y = (value: number) => (high === low ? 12 : 22 - (20 * (value - low)) / (high - low));
  line.setAttribute(
    "points",
    points.map((value, at) => `${((100 * at) / (points.length - 1)).toFixed(1)},${y(value).toFixed(1)}`).join(" "),
  );
  svg.appendChild(line);
  return svg;
}
