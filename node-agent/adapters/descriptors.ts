/**
 * How many file descriptors this process has left.
 *
 * @module
 */

/** Descriptors of a process. */
export interface Descriptors {
  /** In use. */
  readonly open: number;
  /** At most so many; the soft limit. */
  readonly max: number;
}

/** Kept free for files and peers, at most; a quarter of few. */
const RESERVE_MAX = 256;

let knownMax: number | undefined;

/**
 * The descriptors of this process.
 *
 * @returns `undefined` where the system does not tell; when counting failed
 * for lack of one, all are in use.
 */
export function descriptors(): Descriptors | undefined {
  const max = knownMax ??= readMax();
  if (!Number.isFinite(max)) return undefined;
  try {
    let open = 0;
    for (const _ of Deno.readDirSync("/proc/self/fd")) open++;
    return { open, max };
  } catch {
    return { open: max, max };
  }
}

/** Whether new connections would take what files and peers need. */
export function areShort(now: Descriptors | undefined): now is Descriptors {
  if (now === undefined) return false;
  return now.open > now.max - reserveOf(now);
}

/** Whether so few are in use that the next look can wait. */
export function arePlenty(now: Descriptors | undefined): boolean {
  return now === undefined || now.open < now.max / 4;
}

/**
 * How many things that take `each` descriptors fit beside what is open now.
 *
 * @returns Infinity where the system does not tell.
 */
export function roomFor(each: number, now: Descriptors | undefined): number {
  if (now === undefined) return Infinity;
  return Math.max(1, Math.floor((now.max - reserveOf(now) - now.open) / each));
}

function reserveOf({ max }: Descriptors): number {
  return Math.min(RESERVE_MAX, Math.floor(max / 4));
}

/** The soft limit, or infinity where it cannot be known. */
function readMax(): number {
  try {
    const limits = Deno.readTextFileSync("/proc/self/limits");
    const found = /^Max open files +(\d+)/m.exec(limits);
    return found === null ? Infinity : Number(found[1]);
  } catch {
    return Infinity;
  }
}
