// Why a group's weight moved: asked by a click on its line, or by name and step.
import { byName, get, jobPath, type Move, type Moves, type PairShare } from "./api";
import { h, replace, setText, table } from "./dom";
import { number } from "./format";
import type { View } from "./page";

export interface Why {
  element: HTMLElement;
  // Steps from + 1 to `to`: the one of them that moved the group most is explained.
  explain: (group: string, from: number, to: number) => void;
  // The steps that are done, and all its groups.
  setJob: (steps: number, names: string[]) => void;
}

const change = (move: Move): string => {
  if (move.before === null || move.after === null) return number(move.after);
  const by = move.after - move.before;
  return `${number(move.before)} → ${number(move.after)} (${by < 0 ? "−" : "+"}${number(Math.abs(by))})`;
};

// Of S_g; a pair whose loss is not finite has none.
const part = (share: number | null, sum: number | null): number | null =>
  share === null || sum === null || sum === 0 ? null : share / sum;

function partCell(of: number | null): HTMLElement {
  const inner = h("span");
  // A style that is set by the script is none that the content-security policy stops.
  inner.style.width = `${Math.min(100, Math.max(0, 100 * (of ?? 0)))}%`;
  const text = of === null ? "–" : `${(100 * of).toFixed(1)} %`;
  return h("span", { class: "part" }, h("span", { class: "bar", "aria-hidden": "true" }, inner), text);
}

const place = (pair: PairShare): string => `${(pair.file ?? "?").split("/").pop()}, row ${pair.row}`;

export function whyOf(view: View, id: string): Why {
  const choice = h("select", { id: "why-group", required: true });
  const step = h("input", { id: "why-step", type: "number", min: 1, step: 1, required: true, inputmode: "numeric" });
  const heading = h("h3", { tabindex: -1, class: "answer" });
  const answer = h("div"),
    trouble = h("p", { class: "trouble", role: "alert" });
  const form = h(
    "form",
    { class: "tools" },
    h("label", { for: choice.id }, "Group"),
    choice,
    h("label", { for: step.id }, "Step"),
    step,
    h("button", { type: "submit" }, "Explain"),
  );
  let asked = 0,
    done = 0;

  async function ask(group: string, from: number, to: number): Promise<void> {
    const mine = ++asked;
    setText(trouble, "");
    try {
      const query = new URLSearchParams({ group, from: String(from), to: String(to) });
      const moves = await get<Moves>(jobPath(id, `/moves?${query}`), view.signal);
      if (mine !== asked) return;
      show(moves, to);
      heading.focus();
    } catch (error) {
      if (!view.signal.aborted && mine === asked) setText(trouble, String((error as Error).message));
    }
  }

  function show(moves: Moves, to: number): void {
    if (moves.step === null) {
      setText(heading, `Nothing is known of ${moves.group} at step ${to}: ${done} steps are done`);
      replace(answer);
      return;
    }
    choice.value = moves.group;
    step.value = String(moves.step);
    const here = moves.steps.find((one) => one.step === moves.step);
    const mine = byName(here?.groups, moves.group);
    setText(heading, `${moves.group} at step ${moves.step}: weight ${mine ? change(mine) : "–"}`);
    replace(
      answer,
      h(
        "p",
        { class: "note" },
        "S_g is the sum of the losses of the group's pairs in the step's batch, each times what it counts (its " +
          "membership, and how often pairs like it are drawn), n_g the sum of what they count, S_g / n_g their mean.",
      ),
      table(
        `Steps around ${moves.step}`,
        ["Step", "Weight", "S_g", "n_g", "S_g / n_g"],
        moves.steps.map((one) => {
          const of = byName(one.groups, moves.group);
          const isHere = one.step === moves.step;
          return [
            isHere ? h("strong", {}, String(one.step)) : String(one.step),
            of ? change(of) : "–",
            number(of?.lossSum),
            number(of?.pairCount, 2),
            number(of && of.pairCount > 0 && of.lossSum !== null ? of.lossSum / of.pairCount : null),
          ];
        }),
      ),
      h("h3", {}, `Groups at step ${moves.step}`),
      table(
        `Groups at step ${moves.step}, the largest moves first`,
        ["Group", "Weight", "S_g", "n_g", "S_g / n_g"],
        moves.groups.map((name) => {
          const of = byName(here?.groups, name);
          return [
            name,
            of ? change(of) : "–",
            number(of?.lossSum),
            number(of?.pairCount, 2),
            number(of && of.pairCount > 0 && of.lossSum !== null ? of.lossSum / of.pairCount : null),
          ];
        }),
      ),
      ...pairs(moves),
    );
  }

  function pairs(moves: Moves): HTMLElement[] {
    const { why, first = 0, last = 0, groups = {} } = moves.pairs;
    if (why !== undefined) return [h("p", {}, `Its pairs: ${why}.`)];
    const names = moves.groups.filter((name) => byName(groups, name));
    const absent = here(moves)?.pairCount === 0;
    const notes = [
      first < last &&
        h("p", {}, `Of steps ${first} to ${last} each group's step of the largest move is kept with its pairs.`),
      absent && h("p", {}, `The batch had no pair of ${moves.group}: its weight moved by the losses of the others.`),
    ].filter((note): note is HTMLParagraphElement => note !== false);
    const sections = names.map((name, at) => {
      const of = byName(groups, name)!;
      const rows: (Node | string)[][] = of.top.map((pair) => {
        const name_ = h("span", { title: pair.file ?? "" }, place(pair));
        return [name_, number(pair.share), partCell(part(pair.share, of.lossSum))];
      });
      const others = of.pairs - of.top.length;
      const rest = partCell(part(of.rest, of.lossSum));
      const count = `${of.pairs} ${of.pairs === 1 ? "pair" : "pairs"}`;
      if (others > 0) rows.push([`${others} other ${others === 1 ? "pair" : "pairs"}`, number(of.rest), rest]);
      return h(
        "details",
        { open: at === 0 },
        h("summary", {}, h("h3", {}, `Pairs of ${name} at step ${of.step}: S_g ${number(of.lossSum)} of ${count}`)),
        table(`Pairs of ${name} at step ${of.step}`, ["Pair", "Share of S_g", "Part of it"], rows),
      );
    });
    return [...notes, ...sections];
  }

  const here = (moves: Moves): Move | undefined =>
    byName(moves.steps.find((one) => one.step === moves.step)?.groups, moves.group);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const at = Math.max(1, Math.round(Number(step.value)));
    void ask(choice.value, at - 1, at);
  });
  let known = "";
  return {
    element: h(
      "section",
      { class: "why", "aria-labelledby": "why-title" },
      h("h2", { id: "why-title" }, "Why did a weight move?"),
      h(
        "p",
        {},
        "Click a line in the chart of weights, or name a group and a step: what its batch said, and which pairs.",
      ),
      form,
      trouble,
      heading,
      answer,
    ),
    explain: (group, from, to) => void ask(group, from, to),
    setJob: (steps, names) => {
      done = steps;
      const text = names.join("\n");
      if (text === known) return;
      known = text;
      const chosen = choice.value;
      replace(choice, ...names.map((name) => h("option", { value: name, selected: name === chosen }, name)));
    },
  };
}
