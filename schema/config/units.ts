/**
 * Sizes, shares, durations and times of day as people write them.
 *
 * ```text
 * size       "1048576", "64KB", "1.5 GB", "2TiB"   1 KB = 1 KiB = 1,024 bytes
 * reserve    a size, or "20%"
 * rate       a size per second: "20MB", "20MB/s"; "0" is no limit
 * duration   "500ms", "30s", "5m", "2h", "7d", "300" (seconds)
 * time       "HH:MM", 00:00 to 23:59
 * address    "127.0.0.1:8080", "[::1]:8080", ":8080" (every interface)
 * ```
 *
 * KB means 1,024 bytes as in FastDFS's configuration files. Parsers return
 * `undefined` for text that is not understood, so that the caller can name the
 * setting in its message.
 *
 * @module
 */

/** Bytes of one unit, by its name in lower case. */
const BYTES: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1024,
  kb: 1024,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1024 ** 3,
  gib: 1024 ** 3,
  t: 1024 ** 4,
  tb: 1024 ** 4,
  tib: 1024 ** 4,
};

/** Milliseconds of one unit. A bare number is seconds, as in FastDFS. */
const MILLISECONDS: Readonly<Record<string, number>> = {
  "": 1000,
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Space that is kept free on a disk. */
export type Reserve =
  | { readonly kind: "bytes"; readonly bytes: number }
  | { readonly kind: "percent"; readonly percent: number };

/** A name or IP address with a TCP port. */
export interface HostPort {
  /** Name or address, an IPv6 address without brackets. */
  readonly hostname: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/**
 * Read a size.
 *
 * @returns Bytes, or `undefined` when the text is not a size.
 *
 * @example KB is 1,024 bytes
 * ```ts
 * import { parseSize } from "@kedge/schema/config/units";
 * import assert from "node:assert/strict";
 *
 * assert.equal(parseSize("64KB"), 65_536);
 * assert.equal(parseSize("many"), undefined);
 * ```
 */
export function parseSize(text: string): number | undefined {
  return scaled(text, BYTES);
}

/**
 * Read a duration.
 *
 * @returns Milliseconds, or `undefined` when the text is not a duration.
 */
export function parseDuration(text: string): number | undefined {
  return scaled(text, MILLISECONDS);
}

/**
 * Read a rate in bytes per second; `/s` at the end may be left out.
 *
 * @returns Bytes per second, 0 for no limit, or `undefined`.
 */
export function parseRate(text: string): number | undefined {
  return parseSize(text.replace(/\/s$/i, ""));
}

/**
 * Read `reserved_storage_space`.
 *
 * @returns Bytes or percent (0 to 99), or `undefined`.
 */
export function parseReserve(text: string): Reserve | undefined {
  const percent = /^(\d{1,2}(?:\.\d+)?)\s*%$/.exec(text.trim());
  if (percent !== null) return { kind: "percent", percent: Number(percent[1]) };
  const bytes = parseSize(text);
  return bytes === undefined ? undefined : { kind: "bytes", bytes };
}

/**
 * How much of a disk is reserved.
 *
 * @param reserve What was configured.
 * @param totalBytes Size of the file system.
 * @returns Bytes that must stay free.
 */
export function reserveBytes(reserve: Reserve, totalBytes: number): number {
  return reserve.kind === "bytes"
    ? reserve.bytes
    : Math.floor(totalBytes * reserve.percent / 100);
}

/**
 * Read a time of day.
 *
 * @returns Minutes after midnight, 0 to 1,439, or `undefined`.
 */
export function parseTimeOfDay(text: string): number | undefined {
  const match = /^(\d{1,2}):(\d{2})$/.exec(text.trim());
  if (match === null) return undefined;
  const [hours, minutes] = [Number(match[1]), Number(match[2])];
  return hours < 24 && minutes < 60 ? hours * 60 + minutes : undefined;
}

/**
 * Read an address to listen on or to connect to.
 *
 * @returns Host and port, or `undefined`. An empty host is every interface.
 */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/[\]]*)):(\d{1,5})$/.exec(
    text.trim(),
  );
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > 65_535) return undefined;
  return { hostname: match[1] ?? (match[2] || "0.0.0.0"), port };
}

/** An address as text again, with brackets around an IPv6 address. */
export function hostPortText({ hostname, port }: HostPort): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/**
 * The URL of a listening address, for people and for heartbeats.
 *
 * @param address As really bound.
 * @param isTls Whether it speaks HTTPS.
 */
export function urlOf(address: HostPort, isTls: boolean): string {
  return `${isTls ? "https" : "http"}://${hostPortText(address)}`;
}

/** Whether only this host can reach the address. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.toLowerCase();
  return name === "localhost" || name === "::1" ||
    /^127(\.\d{1,3}){3}$/.test(name);
}

function scaled(
  text: string,
  units: Readonly<Record<string, number>>,
): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  if (match === null) return undefined;
  const unit = units[(match[2] ?? "").toLowerCase()];
  const value = unit === undefined ? NaN : Math.round(Number(match[1]) * unit);
  return Number.isSafeInteger(value) ? value : undefined;
}
