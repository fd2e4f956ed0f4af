/**
 * Values as FastDFS writes them, brought into one spelling.
 *
 * @module
 */

import { isAllowedHost } from "../config/allow_hosts.ts";
import { parseReserve, parseSize, parseTimeOfDay } from "../config/units.ts";

/** What a value can be. */
export type ValueKind =
  /** Anything, nothing too. */
  | "text"
  /** Yes or no, in FastDFS's words. */
  | "switch"
  /** A whole number. */
  | "number"
  /** A TCP port. */
  | "port"
  /** Bytes, with KB, MB, GB. */
  | "size"
  /** Bytes or a percentage. */
  | "reserve"
  /** `HH:MM`. */
  | "time"
  /** An address, range or network; no names. */
  | "host";

/** A value in Kedge's spelling, or what it should have been. */
export type ReadValue =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly wanted: string };

/** Words for yes and no. Source: libfastcommon takes these and no others as yes. */
const YES = ["true", "yes", "on", "1"];
const NO = ["false", "no", "off", "0", ""];

const WANTED: Readonly<Record<ValueKind, string>> = {
  text: "text",
  switch: "true or false (yes, no, on, off, 1, 0)",
  number: "a whole number",
  port: "a port, 1 to 65535",
  size: "a number of bytes, such as 64KB, 4MB or 1GB",
  reserve: "a size such as 4GB, or a percentage such as 20%",
  time: "a time of day, HH:MM",
  host: "an address, a range, a network or *; names of hosts are not taken",
};

/**
 * Read one value.
 *
 * @param kind What it must be.
 * @param text As it stands in the file, without spaces around it.
 * @returns `yes`, `no`, bytes as digits, `HH:MM`, …
 */
export function readValue(kind: ValueKind, text: string): ReadValue {
  const value = spelled(kind, text);
  if (value !== undefined) return { ok: true, value };
  const hint = / #|\t#/.test(text)
    ? "; FastDFS knows no comments behind a value: give it a line of its own"
    : "";
  return { ok: false, wanted: WANTED[kind] + hint };
}

function spelled(kind: ValueKind, text: string): string | undefined {
  const word = text.toLowerCase();
  switch (kind) {
    case "text":
      return text;
    case "switch":
      if (YES.includes(word)) return "yes";
      return NO.includes(word) ? "no" : undefined;
    case "number":
      return /^\d{1,15}$/.test(text) ? String(Number(text)) : undefined;
    case "port": {
      const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
      return port >= 1 && port <= 65_535 ? String(port) : undefined;
    }
    case "size": {
      const bytes = parseSize(text);
      return bytes === undefined ? undefined : String(bytes);
    }
    case "reserve": {
      const reserve = parseReserve(text);
      if (reserve === undefined) return undefined;
      return reserve.kind === "percent"
        ? `${reserve.percent}%`
        : String(reserve.bytes);
    }
    case "time":
      return parseTimeOfDay(text) === undefined ? undefined : text;
    case "host":
      return isAllowedHost(text) ? text : undefined;
    default:
      return kind satisfies never;
  }
}
