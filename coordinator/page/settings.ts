// The settings of a job in the words of its file, as they were given and as they hold now.
import type { Job, Settings } from "./api";
import { settingName } from "./format";

// Settings whose keys are names of groups, or of Open MPI.
const kByName = /(^|\.)(group_counts|label_noise|importance_weights|group_baselines|group_shares|mpi_options)$/;
// Of the values of enums in JSON, which a job's file does without: a test compares them with job.proto.
export const kEnums =
  /^(FEATURE_MAP|QUANTIZATION|LORA_INIT|D_TYPE|TRUNCATION|TOKENIZATION|LOSS_TYPE|SFT_AVERAGE|ROBUST_MODE|ESTIMATOR|WEIGHT_UPDATE|WEIGHT_SYNC|AMBIGUITY_SET|BASELINE|OPTIMIZER_TYPE|DECAY_EXCLUDE|SCHEDULE_TYPE|MUON_SCALE|STOP_MODE|SAMPLING|LAUNCH_MODE)_(?=[A-Z0-9_]+$)/;
// Those that may be changed while the job runs, and where its file has them.
const kLive: [keyof Settings, string][] = [
  ["tradeOff", "robust"],
  ["stepSize", "robust"],
  ["learningRate", "optimizer"],
  ["maxSteps", "training"],
  ["priority", "launch"],
];

// Those as they hold now or are about to, of those that the job or a change of it names.
export function liveSettings(job: Job | null): Settings {
  const spec = (job?.spec ?? {}) as Record<string, Settings | undefined>;
  const given = kLive.map(([key, section]) => [key, spec[section]?.[key]]);
  return Object.assign(Object.fromEntries(given), ...(job?.settingsChanges ?? []).map((one) => one.settings));
}

function word(value: unknown): string {
  if (Array.isArray(value)) return value.map(word).join(", ");
  if (typeof value !== "string") return JSON.stringify(value);
  return kEnums.test(value) ? value.replace(kEnums, "").toLowerCase() : value;
}

function flat(value: unknown, path = "", into: Map<string, string> = new Map()): Map<string, string> {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    const name = (key: string) => (kByName.test(path) ? key : settingName(key));
    for (const [key, inner] of Object.entries(value)) flat(inner, path ? `${path}.${name(key)}` : name(key), into);
  } else into.set(path, Array.isArray(value) && value.some((one) => typeof one === "object") ? JSON.stringify(value) : word(value));
  return into;
}

// By path: as the job was given.
export const givenSettings = (job: Job): Map<string, string> => flat(job.spec);

// By path: as they hold now. What was changed says since when, unless that was in the first `shared` steps.
export function settingsInForce(job: Job, shared = -1): Map<string, string> {
  const settings = givenSettings(job);
  for (const [key, section] of kLive) {
    const path = `${section}.${settingName(key)}`;
    const changes = (job.settingsChanges ?? []).filter(
      (one) => one.settings[key] !== undefined && one.effectiveStep !== undefined,
    );
    const newest = changes[changes.length - 1];
    if (key === "priority" && (settings.has(path) || job.priority)) settings.set(path, String(job.priority ?? 0));
    if (!newest) continue;
    const since = Number(newest.effectiveStep);
    const before = changes.length > 1 ? changes[changes.length - 2]!.settings[key] : settings.get(path);
    const value = String(newest.settings[key]);
    settings.set(path, since <= shared ? value : `${value} since step ${since}, before ${before ?? "the default"}`);
  }
  return settings;
}
