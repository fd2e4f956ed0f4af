/**
 * Is the history of one register linearizable? Every write has its own value,
 * so zones decide it in O(n log n).
 *
 * Source: P. Gibbons and E. Korach, Testing Shared Memories (1997).
 *
 * @module
 */

/** All that is known about one value; times are numbers of events. */
export interface ValueHistory {
  readonly value: number;
  /** -Infinity for what was there before. */
  writeStart: number;
  /** Infinity: never answered. */
  writeEnd: number;
  /** Earliest end of a read of it. */
  firstReadEnd: number;
  /** Latest start of a read of it. */
  lastReadStart: number;
}

interface Zone {
  readonly value: number;
  readonly from: number;
  readonly to: number;
}

/** What is wrong with a history, or undefined. */
export function brokenZone(
  values: Iterable<ValueHistory>,
): string | undefined {
  const forward: Zone[] = [];
  const backward: Zone[] = [];
  for (const each of values) {
    if (each.firstReadEnd < each.writeStart) {
      return `value ${each.value} was read before it was written`;
    }
    const isUnseen = each.writeEnd === Infinity &&
      each.firstReadEnd === Infinity;
    if (isUnseen) continue;
    const end = Math.min(each.writeEnd, each.firstReadEnd);
    const start = Math.max(each.writeStart, each.lastReadStart);
    if (end < start) forward.push({ value: each.value, from: end, to: start });
    else backward.push({ value: each.value, from: start, to: end });
  }
  forward.sort((a, b) => a.from - b.from);
  for (let at = 1; at < forward.length; at++) {
    const [a, b] = [forward[at - 1], forward[at]];
    if (a !== undefined && b !== undefined && a.to > b.from) {
      return `values ${a.value} and ${b.value} alternate`;
    }
  }
  for (const inner of backward) {
    const around = forward.find((zone) =>
      zone.from < inner.from && inner.to < zone.to
    );
    if (around !== undefined) {
      return `value ${inner.value} was answered, and ${around.value} read ` +
        "before and after it";
    }
  }
  return undefined;
}
