// The list of jobs.
import { follow, get, isFinal, jobPath, kAfterEnd, type ApiError, type JobCurves, type JobRow } from "./api";
import { sparkline } from "./chart";
import { h, replace, table } from "./dom";
import { duration, number } from "./format";
import type { View } from "./page";

export function stateBadge(state: string): HTMLElement {
  const name = state.replace("JOB_STATE_", "");
  return h("span", { class: `state ${name.toLowerCase()}` }, name);
}

export function progress(step: number, total: number, label: string): HTMLElement {
  const share = total > 0 ? step / total : 0;
  return h(
    "span",
    { class: "progress" },
    h("progress", { value: share, max: 1, "aria-label": `${label}: progress` }),
    h("span", {}, total > 0 ? `${step}/${total}` : step > 0 ? String(step) : "–"),
  );
}

const kMostSparklines = 20;
const kLongestReason = 120;
// Where why a job is in its state is what one looks for.
const kAskedWhy = new Set(["QUEUED", "PAUSED", "RECOVERING", "FAILED"]);

function reasonOf(row: JobRow): HTMLElement[] {
  if (!kAskedWhy.has(row.state.replace("JOB_STATE_", "")) || !row.stateReason) return [];
  const isLong = row.stateReason.length > kLongestReason;
  return [h("div", { class: "reason" }, isLong ? `${row.stateReason.slice(0, kLongestReason)}…` : row.stateReason)];
}

// By its newest evaluation, or by its newest batch where there was none since training began.
const worstOf = (worst: NonNullable<JobRow["worst"]>): HTMLElement =>
  h(
    "span",
    {},
    `${worst.name} ${number(worst.loss)} `,
    h("span", { class: "note" }, worst.split === "validation" ? "validation" : "training"),
  );

export function listView(view: View): void {
  const chosen = new Set<string>();
  const sparks = new Map<string, { step: number; values: (number | null)[] }>();
  const ended = new Set<string>(); // jobs whose lines are those of the whole run
  const search = h("input", {
    type: "search",
    id: "search",
    placeholder: "name, state or group",
    autocomplete: "off",
    input: () => show(),
  });
  const compare = h(
    "button",
    {
      type: "button",
      disabled: true,
      click: () => {
        location.hash = `#/compare/${[...chosen].join(",")}`;
      },
    },
    "Compare",
  );
  const howTo = h("span", { class: "note", id: "how-to-compare" }, "Tick two jobs or more to compare them.");
  compare.setAttribute("aria-describedby", howTo.id);
  const place = h("div", {}, "Reading the jobs …");
  let rows: JobRow[] = [],
    total = 0;
  replace(
    view.place,
    h("h1", {}, "Jobs"),
    h("div", { class: "tools" }, h("label", { for: "search" }, "Search"), search, compare, howTo),
    place,
  );

  function showChosen(): void {
    compare.disabled = chosen.size < 2;
    howTo.hidden = chosen.size >= 2;
  }

  function show(): void {
    const wanted = search.value.toLowerCase();
    const shown = rows.filter((row) =>
      `${row.id} ${row.state} ${row.worst?.name ?? ""}`.toLowerCase().includes(wanted),
    );
    showChosen();
    if (shown.length === 0) {
      return replace(
        place,
        h(
          "p",
          {},
          rows.length === 0 ? "There are no jobs yet: " : "No job is like that.",
          rows.length === 0 && h("code", {}, "equipoise submit job.yaml"),
        ),
      );
    }
    const focused = document.activeElement?.id;
    replace(
      place,
      table(
        "Jobs",
        ["Job", "State", "Worst group", "Progress", "Time left", "Training loss", "Compare"],
        shown.map((row) => [
          h("a", { href: `#/jobs/${row.id}`, id: `job-${row.id}`, class: "nowrap" }, row.id),
          h("span", { title: row.stateReason }, stateBadge(row.state), ...reasonOf(row)),
          row.worst ? worstOf(row.worst) : "–",
          progress(row.step, row.totalSteps, row.id),
          row.timeLeft === undefined ? "–" : duration(row.timeLeft),
          h(
            "span",
            { class: "nowrap" },
            number(row.loss),
            " ",
            sparkline(sparks.get(row.id)?.values ?? [], `${row.id}: loss so far`),
          ),
          h("input", {
            type: "checkbox",
            id: `pick-${row.id}`,
            "aria-label": `Compare ${row.id}`,
            checked: chosen.has(row.id),
            change: (event) => {
              (event.target as HTMLInputElement).checked ? chosen.add(row.id) : chosen.delete(row.id);
              showChosen();
            },
          }),
        ]),
      ),
      total > rows.length &&
        h(
          "p",
          {},
          `${total - rows.length} older jobs are not shown; `,
          h("code", {}, "equipoise jobs list"),
          " has them all.",
        ),
    );
    if (focused) document.getElementById(focused)?.focus();
  }

  async function readSpark(row: JobRow): Promise<void> {
    sparks.set(row.id, { step: row.step, values: sparks.get(row.id)?.values ?? [] });
    try {
      const curves = await get<JobCurves>(jobPath(row.id, "/curves?points=40&worst=0"), view.signal);
      sparks.set(row.id, { step: row.step, values: curves.train.loss });
      show();
    } catch {
      /* the next event tries again */ sparks.delete(row.id);
    }
  }

  // The run so far once, then what comes, and the whole run at its end: of a short one nothing else may have come.
  async function readSparks(): Promise<void> {
    for (const row of rows.slice(0, kMostSparklines)) {
      if (view.signal.aborted) return;
      const known = sparks.get(row.id);
      if (known) {
        if (row.step > known.step && row.loss !== undefined) known.values = [...known.values.slice(-59), row.loss];
        known.step = row.step;
      } else if (row.step > 0) {
        await readSpark(row);
      }
      if (row.step === 0 || !isFinal(row.state) || ended.has(row.id)) continue;
      ended.add(row.id);
      if (!known && (sparks.get(row.id)?.values.length ?? 0) > 1) continue;
      const timer = setTimeout(() => void readSpark(row), kAfterEnd);
      view.signal.addEventListener("abort", () => clearTimeout(timer));
    }
  }

  void follow("/v1/jobs:watch", view.signal, {
    event: (_, data) => {
      ({ jobs: rows, total } = JSON.parse(data));
      show();
      void readSparks();
    },
    link: view.link,
    refused: (error: ApiError) => view.refused(error),
  });
}
