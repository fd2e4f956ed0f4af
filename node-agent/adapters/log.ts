/**
 * Log lines on standard error: one JSON object each, or text for people.
 *
 * @module
 */

import type { Log } from "../ports.ts";

/** How lines look. */
export type LogFormat = "json" | "text";

/** Which lines there are: all, or warnings alone. */
export type LogLevel = "info" | "warn";

/** A log without the lines below a level. */
export function atLeast(level: LogLevel, log: Log): Log {
  return level === "info"
    ? log
    : { info: () => {}, warn: (message, facts) => log.warn(message, facts) };
}

/**
 * A log that writes to standard error.
 *
 * @param format `json` for machines, `text` for a terminal.
 * @param write Where lines go; standard error by default.
 * @returns The log. Facts must never contain secrets.
 */
export function stderrLog(
  format: LogFormat,
  write: (line: string) => void = toStderr,
): Log {
  const line = (
    level: "info" | "warn",
    message: string,
    facts: Record<string, unknown> = {},
  ) => {
    const time = new Date().toISOString();
    if (format === "json") {
      return write(JSON.stringify({ time, level, message, ...facts }));
    }
    const more = Object.entries(facts)
      .map(([name, value]) => ` ${name}=${plain(value)}`).join("");
    const mark = level === "warn" ? "WARN " : "";
    write(`${time} ${mark}${oneLine(message + more)}`);
  };
  return {
    info: (message, facts) => line("info", message, facts),
    warn: (message, facts) => line("warn", message, facts),
  };
}

function plain(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

/** Strangers' words may be in it: no line of their own, no codes for terminals. */
function oneLine(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\u2028\u2029]/gu,
    (character) =>
      `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function toStderr(line: string): void {
  const bytes = new TextEncoder().encode(line + "\n");
  try {
    for (let done = 0; done < bytes.length;) {
      done += Deno.stderr.writeSync(bytes.subarray(done));
    }
  } catch {
    // Nobody listens, or the disk is full: that must not stop who speaks.
  }
}
