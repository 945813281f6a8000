// One job: how it stands, its curves, its ranks, its history, and what may be done with it.
import {
  byName,
  curvesPath,
  follow,
  get,
  isFinal,
  jobPath,
  kAfterEnd,
  post,
  type ApiError,
  type Column,
  type Curves,
  type Group,
  type Job,
  type JobCurves,
  type Settings,
} from "./api";
import { Chart, type Line } from "./chart";
import { ask } from "./dialog";
import { h, replace, setText, table, when } from "./dom";
import { duration, number, secondsOf } from "./format";
import { historyOf } from "./history";
import { progress, stateBadge } from "./list";
import { liveSettings } from "./settings";
import type { View } from "./page";
import { whyOf } from "./why";

const kMostLines = 8,
  kMostRows = 12;
const kBetweenCurves = 10_000;
const kFullId = "charts-are-full";

// An evaluation before the first step says nothing of the training.
const lossOf = (group: Group, isOld: boolean): number => {
  const loss = isOld && group.trainLoss !== undefined ? group.trainLoss : (group.validationLoss ?? group.trainLoss);
  return loss === undefined ? -Infinity : loss === "NaN" ? Infinity : Number(loss);
};
// "NaN" is a text in JSON.
const loss = (value: number | string | undefined): string => number(value === undefined ? null : Number(value));
// The worst off first.
const byLoss = (job: Job | null): Group[] => {
  const isOld = Number(job?.validationStep ?? 0) === 0 && Number(job?.step ?? 0) > 0;
  return [...(job?.groups ?? [])].sort((a, b) => lossOf(b, isOld) - lossOf(a, isOld));
};

// Why a button of a job that has not ended cannot be pressed.
const kWhyNot = {
  pause: "It is paused, or about to leave.",
  resume: "Only a paused job can go on.",
  settings: "",
  evaluate: "Only a job that runs can evaluate.",
  checkpoint: "Only a job that runs can make a checkpoint.",
  cancel: "It is being cancelled.",
};

type Split = "train" | "validation";
const kMeasures = [
  { key: "loss", error: "lossError", title: "Loss by group", split: "both" },
  { key: "weight", error: null, title: "Weight α by group", split: "train" },
  { key: "accuracy", error: "accuracyError", title: "Reward accuracy by group", split: "both" },
] as const;

export function jobView(view: View, id: string): void {
  let job: Job | null = null,
    curves: JobCurves | null = null;
  let groups: string[] = [],
    chosenByHand = false,
    readAt = 0,
    isReading = false,
    mustReadAgain = false,
    hasReadEnd = false;
  let split: Split = "train",
    splitByHand = false;
  const why = whyOf(view, id);
  const head = h("div"),
    charts = kMeasures.map(
      (measure) => new Chart(measure.title, `${id}-${measure.key}`, measure.key === "weight" ? why.explain : undefined),
    );
  const groupsPlace = h("div"),
    more = h("div", { class: "more" });
  const search = h("input", {
    type: "search",
    id: "group-search",
    placeholder: "name of a group",
    input: () => showGroups(),
  });
  const said = h("p", { class: "hidden", "aria-live": "polite" });
  const choices = {} as Record<Split, HTMLInputElement>;
  const splits = (["train", "validation"] as Split[]).map((name) => {
    const choice = h("input", {
      type: "radio",
      name: "split",
      id: `split-${name}`,
      checked: name === split,
      change: () => {
        split = name;
        splitByHand = true;
        showCurves();
      },
    });
    choices[name] = choice;
    return h(
      "span",
      {},
      choice,
      h("label", { for: `split-${name}` }, name === "train" ? "training batches" : "validation"),
    );
  });
  const nothing = h("p", { hidden: true }, "It has no curves: no step was done."),
    curvesPlace = h(
      "div",
      { hidden: true },
      h("fieldset", { class: "tools" }, h("legend", {}, "Losses and accuracies of"), ...splits),
      h("div", { class: "charts" }, ...charts.map((chart) => chart.element)),
      why.element,
      h("h2", {}, "Groups"),
      h("div", { class: "tools" }, h("label", { for: "group-search" }, "Search"), search),
      groupsPlace,
    );
  replace(
    view.place,
    h("p", {}, h("a", { href: "#/" }, "All jobs")),
    head,
    said,
    nothing,
    curvesPlace,
    more,
  );

  // What changes by itself is changed in place: whoever is at a button stays there.
  const title = h("h1", {}, id),
    badge = h("span"),
    reason = h("p"),
    facts = h("dl", { class: "facts" }),
    conditions = h("div");
  const buttons = {
    pause: h(
      "button",
      {
        type: "button",
        click: () =>
          act(
            "pause",
            "Pause",
            "Its ranks make a checkpoint at the end of a step and leave. Resume goes on from there.",
          ),
      },
      "Pause",
    ),
    resume: h(
      "button",
      {
        type: "button",
        click: () => act("resume", "Resume", "It goes back into the queue and goes on from its newest checkpoint."),
      },
      "Resume",
    ),
    settings: h("button", { type: "button", click: () => changeSettings() }, "Settings"),
    evaluate: h(
      "button",
      {
        type: "button",
        click: () => act("evaluate", "Evaluate", "Its ranks evaluate all validation pairs at the end of a step."),
      },
      "Evaluate",
    ),
    checkpoint: h(
      "button",
      {
        type: "button",
        click: () => act("checkpoint", "Checkpoint", "Its ranks make a checkpoint at the end of a step."),
      },
      "Checkpoint",
    ),
    cancel: h(
      "button",
      {
        type: "button",
        class: "danger",
        click: () =>
          act(
            "cancel",
            "Cancel the job",
            "Its processes are ended. What they did since the newest checkpoint is lost, and the job never runs again.",
            true,
          ),
      },
      "Cancel",
    ),
  };
  const buttonsPlace = h("div", { class: "buttons" }, ...Object.values(buttons));
  replace(head, h("header", { class: "job" }, title, badge), reason, facts, buttonsPlace, conditions);

  function act(call: string, name: string, what: string, isDangerous = false): void {
    ask(
      `${name}?`,
      [h("p", {}, id), h("p", {}, what)],
      name,
      async () => {
        showJob(await post<Job>(jobPath(id, `:${call}`), {}));
      },
      isDangerous,
    );
  }

  function changeSettings(): void {
    const fields: [keyof Settings, string, string][] = [
      ["tradeOff", "trade_off", "any"],
      ["stepSize", "step_size: η of the group weights", "any"],
      ["learningRate", "learning_rate", "any"],
      ["maxSteps", "max_steps: where training ends", "1"],
      ["priority", "priority", "1"],
    ];
    const now = liveSettings(job);
    const inputs = fields.map(([key, label, step]) => ({
      key,
      input: h("input", { type: "number", step, id: `set-${key}`, inputmode: "decimal", placeholder: now[key] }),
      label,
    }));
    ask(
      "Change settings",
      [
        h(
          "p",
          {},
          "An empty field keeps its value, which stands in it in grey where the job names one. The change holds from " +
            "the end of a step on, which the list of changes names.",
        ),
        ...inputs.map(({ input, label }) => h("p", { class: "field" }, h("label", { for: input.id }, label), input)),
      ],
      "Change",
      async () => {
        const settings: Settings = {};
        for (const { key, input } of inputs)
          if (input.value !== "")
            (settings as Record<string, string | number>)[key] = key === "maxSteps" ? input.value : Number(input.value);
        if (Object.keys(settings).length === 0) throw new Error("Nothing is changed: every field is empty.");
        showJob(await post<Job>(jobPath(id, ":update"), { settings }));
      },
    );
  }

  function showJob(next: Job): void {
    const isNewState = job !== null && job.state !== next.state;
    job = next;
    document.title = `${id}: ${next.state.replace("JOB_STATE_", "")}`;
    if (badge.textContent !== next.state.replace("JOB_STATE_", "")) replace(badge, stateBadge(next.state));
    if (isNewState) setText(said, `${id} is ${next.state.replace("JOB_STATE_", "").toLowerCase()}`);
    setText(reason, next.stateReason ?? "");
    why.setJob(Number(next.step ?? 0), (next.groups ?? []).map((group) => group.name));
    const step = Number(next.step ?? 0),
      left = secondsOf(next.timeLeft);
    const facts_ = [
      ["Progress", progress(step, Number(next.totalSteps ?? 0), id)],
      ["Phase", next.phase || "–"],
      ["Time left", left === null ? "–" : duration(left)],
      ["Training loss", number(next.loss)],
      ["Pairs/s", number(next.pairsPerSecond, 1)],
      ["Checkpoint", next.checkpointStep ? `step ${next.checkpointStep}` : "–"],
      ["Evaluated", next.validationStep ? `step ${next.validationStep}` : "–"],
      ["Restarts", String(next.restarts ?? 0)],
      ["Submitted", when(next.createTime)],
      ...(next.startTime ? [["Started", when(next.startTime)]] : []),
      ...(next.endTime ? [["Ended", when(next.endTime)]] : []),
      ...(next.runningTime ? [["Running", duration(secondsOf(next.runningTime) ?? 0)]] : []),
      ["Output", (next.spec as { output?: string }).output ?? "–"],
    ] as [string, string | Node][];
    replace(facts, ...facts_.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
    const hasEnded = isFinal(next.state),
      name = next.state.replace("JOB_STATE_", "");
    const may = {
      pause: !hasEnded && !["PAUSED", "PAUSING", "CANCELLING"].includes(name),
      resume: ["PAUSED", "PAUSING"].includes(name),
      settings: !hasEnded,
      evaluate: name === "RUNNING",
      checkpoint: name === "RUNNING",
      cancel: !hasEnded && name !== "CANCELLING",
    };
    for (const [key, button] of Object.entries(buttons)) {
      button.disabled = !may[key as keyof typeof may];
      button.title = button.disabled ? kWhyNot[key as keyof typeof may] : "";
    }
    buttonsPlace.hidden = hasEnded;
    showTrouble(next);
    const hasGroups = (next.groups?.length ?? 0) > 0;
    curvesPlace.hidden = !hasGroups;
    nothing.hidden = hasGroups || !hasEnded;
    showGroups();
    addLive(next, step);
    void readCurves(hasEnded || (groups.length === 0 && (next.groups?.length ?? 0) > 0));
    if (!hasEnded || hasReadEnd) return;
    hasReadEnd = true;
    const timer = setTimeout(() => void readCurves(true), kAfterEnd);
    view.signal.addEventListener("abort", () => clearTimeout(timer));
  }

  let trouble = "";
  function showTrouble(next: Job): void {
    const text = JSON.stringify([next.failure, next.conditions, next.stateReason]);
    if (text === trouble) return;
    trouble = text;
    const { failure, stateReason = "" } = next;
    // What stands above already is not said again.
    const isSaid = (sentence: string): boolean => sentence !== "" && stateReason.includes(sentence);
    const others = (next.conditions ?? []).filter((one) => !isSaid(one) && !one.includes(failure?.reason || "\n"));
    const where =
      failure?.rank === undefined ? "" : `rank ${failure.rank}${failure.host ? ` on ${failure.host}` : ""}`;
    const isReasonSaid = isSaid(failure?.reason ?? "");
    replace(
      conditions,
      failure &&
        h(
          "section",
          { class: "failure", "aria-label": "Failure" },
          h("h2", {}, "Why an attempt failed"),
          (!isReasonSaid || where !== "") &&
            h("p", {}, isReasonSaid ? `First of all ${where} failed.` : `${failure.reason ?? ""}${where && ` (${where})`}`),
          failure.logLines?.length
            ? h("pre", { tabindex: 0, "aria-label": "Last lines of the log" }, failure.logLines.join("\n"))
            : null,
        ),
      others.length > 0 && h("ul", { class: "conditions" }, ...others.map((one) => h("li", {}, one))),
    );
  }

  function showGroups(): void {
    if (!job) return;
    const wanted = search.value.toLowerCase();
    const all = byLoss(job).filter((group) => group.name.toLowerCase().includes(wanted));
    const focused = document.activeElement?.id;
    const isFull = groups.length >= kMostLines;
    const evaluated = job.validationStep === undefined ? "" : ` (step ${job.validationStep})`;
    replace(
      groupsPlace,
      table(
        "Groups, the worst off first",
        [
          "Group",
          "Weight",
          "Training loss",
          "Training accuracy",
          `Validation loss${evaluated}`,
          "Validation accuracy",
          "Pairs",
          "In the charts",
        ],
        all.slice(0, kMostRows).map((group) => [
          group.name,
          number(group.weight),
          loss(group.trainLoss),
          number(group.trainRewardAccuracy, 3),
          loss(group.validationLoss),
          number(group.validationRewardAccuracy, 3),
          String(group.pairCount ?? 0),
          h("input", {
            type: "checkbox",
            id: `group-${group.name}`,
            "aria-label": `${group.name} in the charts`,
            checked: groups.includes(group.name),
            disabled: isFull && !groups.includes(group.name),
            "aria-describedby": isFull && !groups.includes(group.name) ? kFullId : null,
            change: (event) => choose(group.name, (event.target as HTMLInputElement).checked),
          }),
        ]),
      ),
      isFull &&
        job.groups!.length > groups.length &&
        h("p", { class: "note", id: kFullId }, `The charts have ${kMostLines} groups at most: take one out to add another.`),
      all.length > kMostRows &&
        h("p", {}, `${all.length - kMostRows} more groups are not shown: search for them by name.`),
    );
    if (focused?.startsWith("group-")) document.getElementById(focused)?.focus();
  }

  function choose(name: string, isIn: boolean): void {
    chosenByHand = true;
    groups = isIn ? [...groups, name] : groups.filter((one) => one !== name);
    readAt = 0;
    showGroups();
    void readCurves(true);
  }

  // What an event tells stands at the end of the curves until they are read again, with their standard errors.
  function addLive(next: Job, step: number): void {
    const train = curves?.train;
    if (!train || step <= (train.step[train.step.length - 1] ?? -1) || next.loss === undefined) return;
    train.step.push(step);
    train.loss.push(next.loss);
    train.lossError.push(null);
    train.worstLoss.push(null);
    train.lowestAccuracy.push(null);
    for (const [name, columns] of Object.entries(train.groups)) {
      const group = next.groups?.find((one) => one.name === name);
      columns.loss.push(group?.trainLoss === undefined ? null : Number(group.trainLoss));
      columns.lossError.push(null);
      columns.weight.push(group?.weight ?? null);
      columns.accuracy.push(group?.trainRewardAccuracy ?? null);
      columns.accuracyError.push(null);
    }
    showCurves();
  }

  async function readCurves(isUrgent: boolean): Promise<void> {
    if (isReading) {
      mustReadAgain ||= isUrgent;
      return;
    }
    if (document.hidden || (curves !== null && !isUrgent && Date.now() - readAt < kBetweenCurves)) return;
    isReading = true;
    readAt = Date.now();
    // By name, so that few groups keep their colours whoever of them is the worst.
    if (!chosenByHand)
      groups = byLoss(job)
        .slice(0, kMostLines)
        .map((group) => group.name)
        .sort();
    try {
      const isFirst = curves === null;
      curves = await get<JobCurves>(curvesPath(id, groups), view.signal);
      if (isFirst && !splitByHand && curves.validation.step.length > 1) split = "validation";
      choices[split].checked = true;
      showCurves();
      showGroups();
    } catch {
      /* the next event tries again */
    }
    isReading = false;
    if (!mustReadAgain || view.signal.aborted) return;
    mustReadAgain = false;
    void readCurves(true);
  }

  function showCurves(): void {
    if (!curves) return;
    kMeasures.forEach((measure, at) => {
      const of: Curves = curves![measure.split === "both" ? split : "train"];
      const lines: Line[] = groups
        .filter((name) => byName(of.groups, name))
        .map((name) => ({
          label: name,
          values: byName(of.groups, name)![measure.key] ?? [],
          ...(measure.error ? { errors: byName(of.groups, name)![measure.error] as Column } : {}),
        }));
      charts[at]!.show(of.step, lines);
    });
  }

  more.append(...historyOf(view, id, () => job));
  void follow(jobPath(id, ":watch"), view.signal, {
    event: (name, data) => {
      if (name === "job") showJob(JSON.parse(data));
    },
    link: view.link,
    refused: (error: ApiError) => view.refused(error),
    isOver: () => job !== null && isFinal(job.state),
  });
}
