// Numbers, times and names as people read them.

export function number(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return String(value);
  return value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)
    ? value.toExponential(2)
    : value.toFixed(digits);
}

// With as many digits of the standard error as of the value.
export function mean(value: number | null | undefined, error: number | null | undefined, digits = 4): string {
  const text = number(value, digits);
  if (value === null || value === undefined || error === null || error === undefined) return text;
  return `${text} ± ${text.includes("e") || Math.abs(error) >= 1e6 ? number(error, digits) : error.toFixed(digits)}`;
}

export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600),
    minutes = Math.floor((whole % 3600) / 60),
    rest = whole % 60;
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  const two = (n: number) => String(n).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

// proto3's JSON: "12.5s".
export const secondsOf = (text: string | undefined): number | null => (text ? Number.parseFloat(text) : null);

// In the zone of whoever looks, which is named.
export function time(text: string | undefined): string {
  return text ? new Date(text).toLocaleString(undefined, { timeZoneName: "short" }) : "–";
}

// A field's name in JSON, as a job's file writes it.
export const settingName = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) {
    count /= 1000;
    ++at;
  }
  return `${count.toFixed(at === 0 ? 0 : 1)} ${units[at]}`;
}

// RFC 4180. A text that a spreadsheet would compute is kept a text.
export function csv(rows: (string | number | null)[][]): string {
  const cell = (value: string | number | null) => {
    if (value === null) return "";
    if (typeof value === "number") return String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
}
