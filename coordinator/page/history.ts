// What a job's page has below its curves, each section read while it is open: ranks, events, changes of settings,
// attempts, checkpoints, log.
import { get, jobPath, type Job } from "./api";
import { givenSettings, settingsInForce } from "./settings";
import { h, replace, setText, table, when } from "./dom";
import { bytes, number, secondsOf, settingName } from "./format";
import type { View } from "./page";

const kBetweenLooks = 2000,
  kBetweenLooksAtMany = 10_000;
const kPage = 1000,
  kMostPages = 20,
  kMostRows = 100;

type Change = NonNullable<Job["settingsChanges"]>[number];
interface Rank {
  rank?: number;
  host?: string;
  phase?: string;
  step?: string;
  silentFor?: string;
  stalledFor?: string;
  lastCollective?: string;
}
interface Event_ {
  time: string;
  generation?: string;
  state?: string;
  text?: string;
}
interface Attempt {
  generation: string;
  startTime?: string;
  endTime?: string;
  startStep?: string;
  worldSize?: number;
  endReason?: string;
}
interface Checkpoint {
  step: string;
  generation: string;
  bytes?: string;
  createTime?: string;
}

// Of two changes of a setting that begin with the same step the older one never held.
function sinceOf(change: Change, all: Change[]): string {
  if (change.effectiveStep === undefined) return "not yet";
  const later = all.filter(
    (one) => one.effectiveStep === change.effectiveStep && Number(one.version) > Number(change.version),
  );
  const isReplaced = Object.keys(change.settings).every((key) => later.some((one) => key in one.settings));
  return isReplaced ? `${change.effectiveStep}, replaced at once` : change.effectiveStep;
}

// All rows of a list, however many pages they are.
async function allOf<T>(view: View, id: string, list: string): Promise<T[]> {
  const rows: T[] = [];
  let token = "";
  for (let page = 0; page < kMostPages; ++page) {
    const query = new URLSearchParams({ pageSize: String(kPage), ...(token && { pageToken: token }) });
    const answer = await get<Record<string, T[]> & { nextPageToken?: string }>(
      jobPath(id, `/${list}?${query}`),
      view.signal,
    );
    rows.push(...(answer[list] ?? []));
    token = answer.nextPageToken ?? "";
    if (!token) break;
  }
  return rows;
}

// The newest first, and how many are not shown.
const newestFirst = <T>(rows: T[], what: string): [T[], HTMLElement | false] => [
  rows.slice(-kPage).reverse(),
  rows.length > kPage && h("p", { class: "note" }, `${rows.length - kPage} older ${what} are not shown.`),
];

// A sentence, which keeps room for its words beside columns that do not break.
const text = (sentence: string | undefined): HTMLElement => h("div", { class: "text" }, sentence ?? "");

const phase = (name: string | undefined): string =>
  (name ?? "–").replace("RANK_PHASE_", "").replaceAll("_", " ").toLowerCase();

// Few ranks by their number. Of many those that are silent for longest, and those that are farthest behind, first.
function ranksTable(place: HTMLElement, job: () => Job | null): (ranks: Rank[]) => void {
  let all: Rank[] = [];
  const rows = h("div");
  const search = h("input", {
    type: "search",
    id: "rank-search",
    placeholder: "number, host or phase",
    input: () => show(),
  });
  const tools = h("div", { class: "tools", hidden: true }, h("label", { for: "rank-search" }, "Search"), search);
  const step = (rank: Rank): number => Number(rank.step ?? 0);
  const silent = (rank: Rank): number => secondsOf(rank.silentFor) ?? 0;
  function show(): void {
    if (!place.contains(rows)) replace(place, tools, rows);
    const most = all.reduce((max, rank) => Math.max(max, step(rank)), 0);
    tools.hidden = all.length <= kMostRows;
    const wanted = tools.hidden ? "" : search.value.toLowerCase();
    const found = all.filter(
      (rank) =>
        String(rank.rank ?? 0) === wanted || `${rank.host ?? ""} ${phase(rank.phase)}`.toLowerCase().includes(wanted),
    );
    if (!tools.hidden) found.sort((a, b) => step(a) - step(b) || silent(b) - silent(a));
    replace(
      rows,
      all.length === 0
        ? h("p", {}, job()?.state === "JOB_STATE_RUNNING" ? "No rank has been heard of yet." : "No attempt runs.")
        : table(
            "Ranks",
            ["Rank", "Host", "Phase", "Step", "Behind", "Silent for", "Last collective"],
            found.slice(0, kMostRows).map((rank) => [
              String(rank.rank ?? 0),
              rank.host ?? "",
              phase(rank.phase),
              rank.step ?? "0",
              `${most - step(rank)} steps`,
              `${number(secondsOf(rank.silentFor), 1)} s`,
              rank.lastCollective || "–",
            ]),
          ),
      found.length > kMostRows &&
        h(
          "p",
          { class: "note" },
          `${found.length - kMostRows} more ranks are not shown, which are farther on: search for them.`,
        ),
    );
  }
  return (ranks) => {
    all = ranks;
    show();
  };
}

export function historyOf(view: View, id: string, job: () => Job | null): HTMLElement[] {
  const section = (name: string, isOpen: boolean, read: (place: HTMLElement) => Promise<void>): HTMLElement => {
    const place = h("div", {}, "…");
    let seen = "",
      isBusy = false;
    const look = async (): Promise<void> => {
      const mark = name === "Ranks" || name === "Log" ? String(Date.now()) : `${job()?.revision}`;
      if (!details.open || document.hidden || isBusy || mark === seen) return;
      isBusy = true;
      try {
        await read(place);
        seen = mark;
      } catch (error) {
        if (!view.signal.aborted) setText(place, String((error as Error).message));
      }
      isBusy = false;
    };
    const details = h(
      "details",
      { open: isOpen, toggle: () => void look() },
      h("summary", {}, h("h2", {}, name)),
      place,
    );
    const timer = setInterval(() => void look(), kBetweenLooks);
    view.signal.addEventListener("abort", () => clearInterval(timer));
    void look();
    return details;
  };
  const shownTexts = new WeakMap<HTMLElement, string>();
  const shown = (place: HTMLElement, text: string, make: () => Node | void): void => {
    if (shownTexts.get(place) === text) return;
    shownTexts.set(place, text);
    const made = make();
    if (made) replace(place, made);
  };
  let showRanks: ((ranks: Rank[]) => void) | undefined,
    manyRanksAt = 0; // when they were read, where they are several pages
  return [
    section("Ranks", true, async (place) => {
      if (Date.now() - manyRanksAt < kBetweenLooksAtMany) return;
      const ranks = await allOf<Rank>(view, id, "ranks");
      if (ranks.length > kPage) manyRanksAt = Date.now();
      showRanks ??= ranksTable(place, job);
      shown(place, JSON.stringify([job()?.state, ranks]), () => showRanks!(ranks));
    }),
    section("Events", true, async (place) => {
      const events = await allOf<Event_>(view, id, "events");
      shown(place, JSON.stringify(events), () =>
        table(
          "Events",
          ["Time", "State", "What"],
          [...events]
            .reverse()
            .map((event) => [when(event.time), (event.state ?? "").replace("JOB_STATE_", ""), text(event.text)]),
        ),
      );
    }),
    section("Changes of settings", false, async (place) => {
      const changes = job()?.settingsChanges ?? [];
      shown(place, JSON.stringify(changes), () =>
        changes.length === 0
          ? h("p", {}, "None.")
          : table(
              "Changes of settings",
              ["Change", "Asked for", "By", "Settings", "Since step"],
              [...changes].reverse().map((one) => [
                one.version,
                when(one.createTime),
                one.requester || "–",
                Object.entries(one.settings)
                  .map(([key, value]) => `${settingName(key)} ${value}`)
                  .join(", "),
                sinceOf(one, changes),
              ]),
            ),
      );
    }),
    section("Settings", false, async (place) => {
      const now = job();
      if (!now) return;
      const given = givenSettings(now),
        settings = [...settingsInForce(now)].sort(([a], [b]) => (a < b ? -1 : 1));
      shown(place, JSON.stringify(settings), () =>
        h(
          "div",
          {},
          h(
            "p",
            { class: "note" },
            "As its file has them, and as they were changed since; what is absent has its default, which job.yaml of " +
              "the output names.",
          ),
          table(
            "Settings",
            ["Setting", "Value"],
            settings.map(([path, value]) => [path, given.get(path) === value ? value : h("strong", {}, value)]),
          ),
        ),
      );
    }),
    section("Attempts", false, async (place) => {
      const attempts = await allOf<Attempt>(view, id, "attempts");
      shown(place, JSON.stringify(attempts), () => {
        const [newest, others] = newestFirst(attempts, "attempts");
        return h(
          "div",
          {},
          table(
            "Attempts",
            ["Attempt", "Started", "Ended", "From step", "Ranks", "How it ended"],
            newest.map((one) => [
              one.generation,
              when(one.startTime),
              when(one.endTime),
              one.startStep ?? "0",
              String(one.worldSize ?? 0),
              text(one.endReason),
            ]),
          ),
          others,
        );
      });
    }),
    section("Checkpoints", false, async (place) => {
      const checkpoints = await allOf<Checkpoint>(view, id, "checkpoints");
      shown(place, JSON.stringify(checkpoints), () => {
        if (checkpoints.length === 0) return h("p", {}, "None yet.");
        const [newest, others] = newestFirst(checkpoints, "checkpoints");
        return h(
          "div",
          {},
          table(
            "Checkpoints",
            ["Step", "Attempt", "Size", "Made"],
            newest.map((one) => [
              one.step,
              one.generation,
              one.bytes ? bytes(Number(one.bytes)) : "–",
              when(one.createTime),
            ]),
          ),
          others,
        );
      });
    }),
    section("Log", false, async (place) => {
      const log = await get<{ text: string; begin: number; size: number; generation: number }>(
        jobPath(id, "/log"),
        view.signal,
      );
      shown(place, `${log.generation} ${log.size}`, () =>
        h(
          "div",
          {},
          h(
            "p",
            {},
            `Attempt ${log.generation}, standard error${log.begin > 0 ? `, the last of ${bytes(log.size)}` : ""}`,
          ),
          h("pre", { tabindex: 0, "aria-label": "Log" }, log.text || "Nothing is written yet."),
        ),
      );
    }),
  ];
}
