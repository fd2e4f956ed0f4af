/** Values of options: sizes and times. Pure. */

import { LineError } from "./line.ts";

const UNITS: Readonly<Record<string, number>> = {
  s: 512,
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

/**
 * A size in bytes; a bare number counts sectors of 512 bytes, as drbdsetup
 * takes `--start` and `--stop`.
 *
 * @param bare Unit of a bare number.
 * @throws {LineError}
 */
export function sizeOption(
  text: string | undefined,
  name: string,
  bare: "s" | "b" = "s",
): number | undefined {
  if (text === undefined) return undefined;
  const [, digits = "", unit = bare] = /^(\d{1,15})([sbkmgt])?$/i.exec(text) ??
    [];
  const value = digits === "" ? NaN : Number(digits) *
    (UNITS[unit.toLowerCase()] ?? NaN);
  if (Number.isSafeInteger(value)) return value;
  throw new LineError(
    `--${name} must be a size such as 100M or 2048s, not "${text}"`,
  );
}

/**
 * A time in milliseconds from whole seconds.
 *
 * @throws {LineError}
 */
export function secondsOption(
  text: string | undefined,
  name: string,
): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,7}$/.test(text)) return Number(text) * 1000;
  throw new LineError(`--${name} must be whole seconds, not "${text}"`);
}

/**
 * A number of things.
 *
 * @throws {LineError}
 */
export function countOption(
  text: string | undefined,
  name: string,
): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new LineError(`--${name} must be a whole number, not "${text}"`);
}
