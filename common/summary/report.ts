// The report of one run: the charts of the coordinator's page over what report_page.cc has put into this file.
import type { Column, Curves } from "../../coordinator/page/api";
import { Chart, type Line } from "../../coordinator/page/chart";
import { h, replace, table } from "../../coordinator/page/dom";
import { mean as meanText, number } from "../../coordinator/page/format";

type Mean = [number | null, number | null]; // and its standard error
interface Evaluation {
  step: number;
  worst: string;
  loss: Mean;
  accuracy: Mean;
  lowestAccuracy: Mean;
}
interface GroupResult {
  loss: Mean;
  isFinite: boolean;
  accuracy: Mean;
  pairs: number | null;
}
interface Group {
  name: string;
  weight: number | null;
  pairs: number | null;
  before: GroupResult | null;
  after: GroupResult | null;
}
interface Run {
  name: string;
  base: string;
  hasEnded: boolean;
  hasValidation: boolean;
  learnsWeights: boolean;
  keepsBest: boolean;
  steps: number;
  maxSteps: number;
  epoch: number;
  dataset: string | null;
  before: Evaluation | null;
  after: Evaluation | null;
  groups: Group[];
  groupCount: number;
  curved: string[];
  train: Curves;
  validation: Curves;
  sampled: boolean;
  skipped: [number, number]; // logged steps that changed nothing, and all of them
  job: string;
  changes: { step: number; setting: string; from: number | null; to: number | null; requester: string }[];
  parent: { job: string; step: number } | null;
  attempts: {
    job: string;
    generation: number;
    step: number;
    ranks: number;
    device: string;
    program: string;
    isFromCheckpoint: boolean;
  }[];
  checkpoints: number[];
  notes: string[];
}

const kMostLines = 8,
  kMostRows = 25;
const kMeasures = [
  { key: "loss", error: "lossError", title: "Loss by group" },
  { key: "accuracy", error: "accuracyError", title: "Reward accuracy by group" },
  { key: "weight", error: null, title: "Weight α by group" },
] as const;

const run = JSON.parse(document.getElementById("run")!.textContent!) as Run;
const place = document.getElementById("report")!;
type Split = "train" | "validation";
let split: Split = run.validation.step.length > 2 ? "validation" : "train";
// By name, so that few groups keep their colours whoever of them is the worst.
let shown = run.curved.slice(0, kMostLines).sort();

const mean = ([value, error]: Mean, digits = 4): string => meanText(value, error, digits);
const lossOf = (group: GroupResult | null): string =>
  group === null ? "–" : group.isFinite ? mean(group.loss) : "not finite";
const when = (step: number): string => (step === 0 ? "before the first step" : `after step ${step}`);

const loss = new Chart("Loss of all", "loss-of-all");
const charts = kMeasures.map((measure) => new Chart(measure.title, measure.key));

function showCurves(): void {
  kMeasures.forEach((measure, at) => {
    const of = measure.key === "weight" ? run.train : run[split];
    const lines: Line[] = shown
      .filter((name) => Object.hasOwn(of.groups, name))
      .map((name) => ({
        label: name,
        values: of.groups[name]![measure.key],
        ...(measure.error ? { errors: of.groups[name]![measure.error] as Column } : {}),
      }));
    charts[at]!.show(of.step, measure.key === "weight" && !run.learnsWeights ? [] : lines);
  });
}

function showLoss(): void {
  const label = split === "train" ? "training batches" : "validation";
  loss.show(run[split].step, [{ label, values: run[split].loss, errors: run[split].lossError }]);
}

const search = h("input", { type: "search", id: "group-search", placeholder: "name of a group", input: showGroups });
const groupsPlace = h("div", { class: "groups" });

function showGroups(): void {
  const wanted = search.value.toLowerCase();
  const all = run.groups.filter((group) => group.name.toLowerCase().includes(wanted));
  const isTwice = run.before !== null && run.after !== null && run.before.step !== run.after.step;
  const hasAccuracy = run.after !== null && run.after.lowestAccuracy[0] !== null;
  const columns: [string, (group: Group) => Node | string][] = [["Group", (group) => group.name]];
  if (run.learnsWeights) columns.push(["α at the end", (group) => number(group.weight)]);
  if (isTwice) columns.push(["Loss before", (group) => lossOf(group.before)]);
  if (run.after) columns.push([isTwice ? "Loss after" : "Loss", (group) => lossOf(group.after)]);
  if (isTwice && hasAccuracy)
    columns.push(["Accuracy before", (group) => mean(group.before?.accuracy ?? [null, null], 3)]);
  if (hasAccuracy)
    columns.push([isTwice ? "Accuracy after" : "Accuracy", (group) => mean(group.after?.accuracy ?? [null, null], 3)]);
  columns.push(["Training pairs", (group) => (group.pairs === null ? "–" : String(group.pairs))]);
  if (run.after)
    columns.push(["Validation pairs", (group) => (group.after?.pairs == null ? "–" : String(group.after.pairs))]);
  columns.push(["In the charts", (group) => (run.curved.includes(group.name) ? choice(group.name) : "–")]);
  const focused = document.activeElement?.id;
  replace(
    groupsPlace,
    table(
      "Groups, the worst off first",
      columns.map(([head]) => head),
      all.slice(0, kMostRows).map((group) => columns.map(([, cell]) => cell(group))),
    ),
    shown.length >= kMostLines &&
      run.curved.length > kMostLines &&
      h("p", { class: "note" }, `The charts have ${kMostLines} groups at most: take one out to add another.`),
    all.length > kMostRows &&
      h("p", { class: "note" }, `${all.length - kMostRows} more groups are not shown: search for them by name.`),
    run.groupCount > run.groups.length &&
      h("p", { class: "note" }, `The ${run.groups.length} worst of ${run.groupCount} groups are in this file.`),
  );
  if (focused?.startsWith("group-")) document.getElementById(focused)?.focus();
}

function choice(name: string): Node {
  const isIn = shown.includes(name);
  return h("input", {
    type: "checkbox",
    id: `group-${name}`,
    "aria-label": `${name} in the charts`,
    checked: isIn,
    disabled: !isIn && shown.length >= kMostLines,
    change: (event) => {
      shown = (event.target as HTMLInputElement).checked ? [...shown, name] : shown.filter((one) => one !== name);
      showGroups();
      showCurves();
    },
  });
}

function result(): Node {
  if (!run.after)
    return h(
      "p",
      {},
      run.hasValidation
        ? "The run has no evaluation on record."
        : "No validation data were given (data.validation), so nothing was evaluated.",
    );
  const after = run.groups.find((group) => group.name === run.after!.worst);
  const isTwice = run.before !== null && run.before.step !== run.after.step;
  const before = isTwice ? `${lossOf(after?.before ?? null)} ${when(run.before!.step)}, ` : "";
  const best = run.keepsBest ? ", the best evaluation, whose parameters are kept" : "";
  return h(
    "p",
    {},
    "Worst off is ",
    h("strong", {}, run.after.worst),
    `: validation loss ${before}${lossOf(after?.after ?? null)} ${when(run.after.step)}${best}.`,
  );
}

function facts(): Node {
  const list: [string, string][] = [
    ["Steps", run.steps === run.maxSteps ? `${run.steps}` : `${run.steps} of ${run.maxSteps}`],
    ["Epochs", number(run.epoch, 2)],
  ];
  if (run.base) list.push(["Base model", run.base]);
  if (run.after) list.push(["Validation loss", mean(run.after.loss)]);
  if (run.after && run.after.accuracy[0] !== null) list.push(["Reward accuracy", mean(run.after.accuracy, 3)]);
  if (run.after && run.after.lowestAccuracy[0] !== null)
    list.push(["Lowest accuracy", mean(run.after.lowestAccuracy, 3)]);
  if (run.parent) list.push(["Began with", `step ${run.parent.step} of ${run.parent.job}`]);
  list.push(["Attempts", String(run.attempts.length || "–")]);
  return h(
    "dl",
    { class: "facts" },
    ...list.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

function section(name: string, isOpen: boolean, ...children: Node[]): Node {
  return h("details", { open: isOpen }, h("summary", {}, h("h2", {}, name)), ...children);
}

const none = (): Node => h("p", {}, "None.");
const splits = (["train", "validation"] as Split[]).map((name) =>
  h(
    "span",
    {},
    h("input", {
      type: "radio",
      name: "split",
      id: `split-${name}`,
      checked: name === split,
      disabled: run[name].step.length === 0,
      change: () => {
        split = name;
        showCurves();
        showLoss();
      },
    }),
    h("label", { for: `split-${name}` }, name === "train" ? "training batches" : "validation"),
  ),
);

replace(
  place,
  h(
    "header",
    { class: "job" },
    h("h1", {}, run.name),
    h("span", { class: "state" }, run.hasEnded ? "ENDED" : "NOT ENDED"),
  ),
  result(),
  facts(),
  run.skipped[0] > 0 &&
    h(
      "p",
      { class: "note" },
      `${run.skipped[0]} of ${run.skipped[1]} logged steps changed nothing: a loss or the gradient was not finite.`,
    ),
  run.sampled &&
    h("p", { class: "note" }, "metrics.jsonl is so large that the curves are of samples of its lines."),
  ...run.notes.map((note) => h("p", { class: "note" }, note)),
  h("fieldset", { class: "tools" }, h("legend", {}, "Losses and accuracies of"), ...splits),
  h("div", { class: "charts" }, ...[...charts, loss].map((chart) => chart.element)),
  h("h2", {}, "Groups"),
  h("div", { class: "tools" }, h("label", { for: "group-search" }, "Search"), search),
  groupsPlace,
  section(
    "Attempts",
    run.attempts.length > 1,
    run.attempts.length === 0
      ? none()
      : table(
          "Attempts",
          ["Job", "Attempt", "Began", "Ranks", "Device", "Program"],
          run.attempts.map((one) => [
            one.job,
            String(one.generation),
            one.isFromCheckpoint ? `from the checkpoint of step ${one.step}` : `at step ${one.step}`,
            String(one.ranks),
            one.device,
            one.program,
          ]),
        ),
  ),
  section(
    "Changes of settings",
    run.changes.length > 0,
    run.changes.length === 0
      ? none()
      : table(
          "Changes of settings",
          ["After step", "Setting", "From", "To", "Asked for by"],
          run.changes.map((one) => [
            String(one.step),
            one.setting,
            one.from === null ? "–" : String(one.from),
            one.to === null ? "–" : String(one.to),
            one.requester || "–",
          ]),
        ),
  ),
  section(
    "Checkpoints",
    false,
    run.checkpoints.length === 0 ? none() : h("p", {}, `After steps ${run.checkpoints.join(", ")}.`),
  ),
  section(
    "Settings",
    false,
    h("pre", { tabindex: 0, "aria-label": "Settings" }, run.job),
    h("p", { class: "note" }, run.dataset ? `SHA-256 of the tokenised training pairs: ${run.dataset}` : ""),
  ),
);
showGroups();
showCurves();
showLoss();
