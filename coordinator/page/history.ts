// What a job's page has below its curves, each section read while it is open: ranks, events, changes of settings,
// attempts, checkpoints, log.
import { get, jobPath, type Job } from "./api";
import { h, replace, setText, table } from "./dom";
import { bytes, number, secondsOf, settingName, time } from "./format";
import type { View } from "./page";

const kBetweenLooks = 2000;

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
  const shown = (place: HTMLElement, text: string, make: () => Node): void => {
    if (place.dataset["shown"] === text) return;
    place.dataset["shown"] = text;
    replace(place, make());
  };
  const phase = (name: string | undefined): string =>
    (name ?? "–").replace("RANK_PHASE_", "").replaceAll("_", " ").toLowerCase();
  return [
    section("Ranks", true, async (place) => {
      const { ranks = [] } = await get<{ ranks?: Rank[] }>(jobPath(id, "/ranks?pageSize=1000"), view.signal);
      const most = Math.max(0, ...ranks.map((rank) => Number(rank.step ?? 0)));
      shown(place, JSON.stringify(ranks), () =>
        ranks.length === 0
          ? h("p", {}, "No attempt runs.")
          : table(
              "Ranks",
              ["Rank", "Host", "Phase", "Step", "Behind", "Silent for", "Last collective"],
              ranks.map((rank) => [
                String(rank.rank ?? 0),
                rank.host ?? "",
                phase(rank.phase),
                rank.step ?? "0",
                `${most - Number(rank.step ?? 0)} steps`,
                `${number(secondsOf(rank.silentFor), 1)} s`,
                rank.lastCollective || "–",
              ]),
            ),
      );
    }),
    section("Events", true, async (place) => {
      const { events = [] } = await get<{ events?: Event_[] }>(jobPath(id, "/events?pageSize=1000"), view.signal);
      shown(place, JSON.stringify(events), () =>
        table(
          "Events",
          ["Time", "State", "What"],
          [...events]
            .reverse()
            .map((event) => [time(event.time), (event.state ?? "").replace("JOB_STATE_", ""), event.text ?? ""]),
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
              ["Change", "Asked for", "Settings", "Since step"],
              [...changes].reverse().map((one) => [
                one.version,
                time(one.createTime),
                Object.entries(one.settings)
                  .map(([key, value]) => `${settingName(key)} ${value}`)
                  .join(", "),
                one.effectiveStep ?? "not yet",
              ]),
            ),
      );
    }),
    section("Attempts", false, async (place) => {
      const { attempts = [] } = await get<{ attempts?: Attempt[] }>(
        jobPath(id, "/attempts?pageSize=1000"),
        view.signal,
      );
      shown(place, JSON.stringify(attempts), () =>
        table(
          "Attempts",
          ["Attempt", "Started", "Ended", "From step", "Ranks", "How it ended"],
          [...attempts]
            .reverse()
            .map((one) => [
              one.generation,
              time(one.startTime),
              time(one.endTime),
              one.startStep ?? "0",
              String(one.worldSize ?? 0),
              one.endReason ?? "",
            ]),
        ),
      );
    }),
    section("Checkpoints", false, async (place) => {
      const { checkpoints = [] } = await get<{ checkpoints?: Checkpoint[] }>(
        jobPath(id, "/checkpoints?pageSize=1000"),
        view.signal,
      );
      shown(place, JSON.stringify(checkpoints), () =>
        checkpoints.length === 0
          ? h("p", {}, "None yet.")
          : table(
              "Checkpoints",
              ["Step", "Attempt", "Size", "Made"],
              [...checkpoints]
                .reverse()
                .map((one) => [
                  one.step,
                  one.generation,
                  one.bytes ? bytes(Number(one.bytes)) : "–",
                  time(one.createTime),
                ]),
            ),
      );
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
