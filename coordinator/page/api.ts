// The service's HTTP API (docs/reference/http.md). The token of the user stays in this tab's session storage and goes
// into a header alone, never into an address.

export interface Group {
  name: string;
  pairCount?: number;
  weight?: number;
  trainLoss?: number | string;
  trainRewardAccuracy?: number;
  validationLoss?: number | string;
  validationRewardAccuracy?: number;
}
export interface Settings {
  tradeOff?: number;
  stepSize?: number;
  learningRate?: number;
  maxSteps?: string;
  priority?: number;
}
export interface Job {
  id: string;
  state: string;
  stateReason?: string;
  revision: string;
  generation?: string;
  step?: string;
  totalSteps?: string;
  loss?: number;
  pairsPerSecond?: number;
  timeLeft?: string;
  phase?: string;
  conditions?: string[];
  groups?: Group[];
  createTime?: string;
  startTime?: string;
  endTime?: string;
  runningTime?: string;
  restarts?: number;
  validationStep?: string;
  checkpointStep?: string;
  parentId?: string;
  parentStep?: string;
  priority?: number;
  spec: Record<string, unknown> & { name?: string };
  failure?: { reason?: string; host?: string; rank?: number; step?: string; logLines?: string[] };
  settingsChanges?: { version: string; settings: Settings; effectiveStep?: string; createTime?: string; requester?: string }[];
}
export interface JobRow {
  id: string;
  name: string;
  state: string;
  stateReason: string;
  step: number;
  totalSteps: number;
  loss?: number;
  timeLeft?: number;
  groups: number;
  createTime: number;
  phase: string;
  worst?: { name: string; weight: number; loss: number | null; split: "train" | "validation" };
}
const kFinal = new Set(["JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"]);
export const isFinal = (state: string): boolean => kFinal.has(state);
// The service gives the same answer for a second or two, and no event follows the last one.
export const kAfterEnd = 3_000;

export type Column = (number | null)[];
export interface GroupCurves {
  loss: Column;
  lossError: Column;
  weight: Column;
  accuracy: Column;
  accuracyError: Column;
}
export interface Curves {
  step: number[];
  loss: Column;
  lossError: Column;
  worstLoss: Column; // of all groups, in validation
  lowestAccuracy: Column;
  groups: Record<string, GroupCurves>;
}
export interface JobCurves {
  train: Curves;
  validation: Curves;
  bytes: number;
  sampled: boolean;
}

// One group in one step. Numbers are null where they are not finite, or not known.
export interface Move {
  before: number | null;
  after: number | null;
  lossSum: number | null;
  pairCount: number;
}
export interface PairShare {
  file: string | null;
  row: number;
  share: number | null;
}
export interface Moves {
  group: string;
  step: number | null;
  groups: string[];
  steps: { step: number; groups: Record<string, Move> }[];
  pairs: {
    why?: string;
    first?: number;
    last?: number;
    groups?: Record<string, Move & { step: number; pairs: number; rest: number | null; top: PairShare[] }>;
  };
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

const kToken = "equipoise-token";
export const hasToken = (): boolean => sessionStorage.getItem(kToken) !== null;
export function setToken(token: string | null): void {
  if (token === null) sessionStorage.removeItem(kToken);
  else sessionStorage.setItem(kToken, token);
}

function headers(): Record<string, string> {
  const token = sessionStorage.getItem(kToken);
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

async function failureOf(answer: Response): Promise<ApiError> {
  const text = await answer.text();
  try {
    const { error } = JSON.parse(text);
    return new ApiError(answer.status, error.details?.[0]?.reason ?? "", error.message);
  } catch {
    return new ApiError(answer.status, "", text.trim() || `the service has answered ${answer.status}`);
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const answer = await fetch(path, { headers: headers(), signal, cache: "no-store" });
  if (!answer.ok) throw await failureOf(answer);
  return answer.json();
}

export async function post<T>(path: string, body: object): Promise<T> {
  const answer = await fetch(path, {
    method: "POST",
    body: JSON.stringify({ requestId: crypto.randomUUID?.() ?? String(Math.random()), ...body }),
    headers: { ...headers(), "Content-Type": "application/json", "X-Equipoise": "1" },
  });
  if (!answer.ok) throw await failureOf(answer);
  return answer.json();
}

// Of what JSON has by the name of a group, which may be "constructor".
export function byName<T>(values: Record<string, T> | undefined, name: string): T | undefined {
  return values !== undefined && Object.hasOwn(values, name) ? values[name] : undefined;
}

export const jobPath = (id: string, rest = ""): string => `/v1/jobs/${encodeURIComponent(id)}${rest}`;

export function curvesPath(id: string, groups: string[], points = 300): string {
  const query = new URLSearchParams({ points: String(points) });
  for (const group of groups) query.append("group", group);
  if (groups.length === 0) query.set("worst", "8");
  return jobPath(id, `/curves?${query}`);
}

async function readStream(
  path: string,
  onEvent: (name: string, data: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const answer = await fetch(path, { headers: headers(), signal, cache: "no-store" });
  if (!answer.ok) throw await failureOf(answer);
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (true) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field("data");
      if (data !== undefined) onEvent(field("event") ?? "message", data);
    }
  }
}

// Follows `path` until `signal`, again after every break, such as a restart of the service. EventSource cannot send a
// token. `isOver`: nothing more will come.
export async function follow(
  path: string,
  signal: AbortSignal,
  on: {
    event: (name: string, data: string) => void;
    link: (isUp: boolean, why: string) => void;
    refused: (error: ApiError) => void;
    isOver?: () => boolean;
  },
): Promise<void> {
  for (let wait = 500; !signal.aborted; wait = Math.min(10_000, wait * 2)) {
    let why = "the connection was closed";
    try {
      await readStream(
        path,
        (name, data) => {
          wait = 250;
          on.link(true, "");
          on.event(name, data);
        },
        signal,
      );
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && [401, 403, 404, 421].includes(error.status)) return on.refused(error);
      why = error instanceof ApiError ? error.message : "the service does not answer";
    }
    if (on.isOver?.()) return;
    on.link(false, why);
    await new Promise((done) => setTimeout(done, wait + Math.random() * 250));
  }
}
