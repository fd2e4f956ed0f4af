/**
 * Numbers with suffixes: `4096`, `10M`, `2097152s`.
 *
 * A bare number counts in the unit of its option, a suffix overrides that:
 * `k`, `m`, `g` in either case are 2^10, 2^20, 2^30, and `s` is a sector of 512
 * bytes. Terabytes have no suffix.
 *
 * @module
 */

/** What a bare number counts: ones, KiB or sectors of 512 bytes. */
export type Unit = "1" | "k" | "s";

/** How much one unit is. */
export const UNIT_SIZE: Readonly<Record<Unit, number>> = {
  "1": 1,
  "k": 1024,
  "s": 512,
};

const SUFFIX_SIZE: Readonly<Record<string, number>> = {
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  s: 512,
};

const NUMBER = /^(\d{1,20})([kKmMgGs]?)$/;

/**
 * The number in ones (bytes for options with a unit), or `undefined` when the
 * text is no number.
 */
export function parseNumber(text: string, unit: Unit): number | undefined {
  const match = NUMBER.exec(text);
  if (match === null) return undefined;
  const suffix = (match[2] ?? "").toLowerCase();
  return Number(match[1]) * (SUFFIX_SIZE[suffix] ?? UNIT_SIZE[unit]);
}

/** A whole number between bounds, or `undefined`. */
export function parseInteger(
  text: string,
  min: number,
  max: number,
): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}
