/** Sizes, rates, durations and counts as people read them. Pure. */

const SIZE_UNITS = ["B", "KB", "MB", "GB", "TB", "PB"] as const;

/**
 * A size in at most four digits. 1 KB is 1,024 bytes.
 *
 * @example Three significant digits
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(sizeText(0), "0 B");
 * assert.equal(sizeText(1536), "1.5 KB");
 * assert.equal(sizeText(1023 * 1024), "1023 KB");
 * ```
 */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < SIZE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const isShort = unit > 0 && value < 10 && Math.round(value * 10) < 100;
  const text = isShort
    ? value.toFixed(1).replace(/\.0$/, "")
    : String(Math.round(value));
  return `${text} ${SIZE_UNITS[unit]}`;
}

/** A rate in bytes per second. */
export function rateText(bytesPerS: number): string {
  return `${sizeText(bytesPerS)}/s`;
}

/**
 * A duration with its two largest units: "0:07", "12:05", "3:02:01", "5d 02h".
 *
 * @param ms Milliseconds; `undefined` is "-:--".
 */
export function durationText(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms)) return "-:--";
  const total = Math.round(ms / 1000);
  const days = Math.floor(total / 86_400);
  const hours = Math.floor(total / 3600) % 24;
  const minutes = Math.floor(total / 60) % 60;
  const seconds = total % 60;
  if (days > 0) return `${days}d ${pad(hours)}h`;
  if (hours > 0) return `${hours}:${pad(minutes)}:${pad(seconds)}`;
  return `${minutes}:${pad(seconds)}`;
}

/** How long ago something was: "now", "4 s", "3 min", "2 h", "5 d". */
export function agoText(ms: number | null): string {
  if (ms === null) return "never";
  const seconds = Math.floor(ms / 1000);
  if (seconds < 2) return "now";
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Milliseconds with three digits that matter: "0.42 ms", "12.3 ms", "1.20 s". */
export function latencyText(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

/** A count and its noun: "1 file", "3 files". */
export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}
