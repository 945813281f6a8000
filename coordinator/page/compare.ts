// Runs laid over each other, with what their settings differ in.
import { get, jobPath, type Column, type Job, type JobCurves } from "./api";
import uPlot from "uplot";
import { Chart, type Line } from "./chart";
import { h, replace, table } from "./dom";
import { stateBadge } from "./list";
import { settingsInForce } from "./settings";
import type { View } from "./page";

// The settings that a fork has from its parent count from its beginning on.
function settingsOf(job: Job, all: Job[]): Map<string, string> {
  const forks = all.filter((one) => one.parentId === job.id);
  return settingsInForce(job, Math.max(-1, ...forks.map((one) => Number(one.parentStep ?? 0))));
}

// Runs have steps of their own: a common axis of all of them.
function joined(runs: { name: string; step: number[]; values: Column }[]): { steps: number[]; lines: Line[] } {
  const data = uPlot.join(runs.map((run) => [run.step, run.values] as uPlot.AlignedData));
  return { steps: [...data[0]], lines: runs.map((run, at) => ({ label: run.name, values: data[at + 1] as Column })) };
}

export async function compareView(view: View, ids: string[]): Promise<void> {
  replace(view.place, h("h1", {}, "Runs"), h("p", {}, "Reading the runs …"));
  try {
    const runs = await Promise.all(
      ids.map(async (id) => ({
        job: await get<Job>(jobPath(id), view.signal),
        curves: await get<JobCurves>(jobPath(id, "/curves?points=300&worst=0"), view.signal),
      })),
    );
    const all = runs.map((run) => run.job);
    const settings = all.map((job) => settingsOf(job, all));
    const keys = [...new Set(settings.flatMap((one) => [...one.keys()]))]
      .sort()
      .filter((key) => new Set(settings.map((one) => one.get(key))).size > 1);
    const charts: [string, string, (curves: JobCurves) => [number[], Column]][] = [
      ["Training loss", "compare-train-loss", (c) => [c.train.step, c.train.loss]],
      [
        "Worst group's validation loss",
        "compare-worst-loss",
        (c) => [c.validation.step, c.validation.worstLoss],
      ],
      [
        "Lowest validation accuracy of a group",
        "compare-accuracy",
        (c) => [c.validation.step, c.validation.lowestAccuracy],
      ],
    ];
    const place = h("div", { class: "charts" });
    replace(
      view.place,
      h("p", {}, h("a", { href: "#/" }, "All jobs")),
      h("h1", {}, "Runs laid over each other"),
      h(
        "ul",
        {},
        ...runs.map((run) =>
          h("li", {}, h("a", { href: `#/jobs/${run.job.id}` }, run.job.id), " ", stateBadge(run.job.state)),
        ),
      ),
      place,
      h("h2", {}, "What their settings differ in"),
      keys.length === 0
        ? h("p", {}, "Nothing.")
        : table(
            "Settings that differ",
            ["Setting", ...ids],
            keys.map((key) => [key, ...settings.map((one) => one.get(key) ?? "default")]),
          ),
    );
    for (const [title, file, of] of charts) {
      const chart = new Chart(title, file);
      place.append(chart.element);
      const { steps, lines } = joined(
        runs.map((run) => {
          const [step, values] = of(run.curves);
          return { name: run.job.id, step, values };
        }),
      );
      chart.show(steps, lines);
    }
  } catch (error) {
    if (!view.signal.aborted) view.refused(error as Error);
  }
}
