/**
 * Waiting for a condition instead of for a time.
 *
 * @module
 */

/** How long to wait, and for what. */
export interface Waiting {
  /** What is waited for, as the end of "waited for …". */
  readonly what: string;
  /** Give up after this many milliseconds. */
  readonly deadlineMs?: number;
  /** Pause between two looks, in milliseconds. */
  readonly pauseMs?: number;
}

/** Longest wait of a test that does not say otherwise, in milliseconds. */
const DEADLINE_MS = 20_000;

/**
 * Look again and again until the condition gives something true.
 *
 * @param condition Looks once; what it throws counts as "not yet".
 * @param waiting What is waited for and how long.
 * @returns What the condition gave.
 * @throws {Error} When the time is over; its cause is the last failure.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  waiting: Waiting,
): Promise<T & (object | string | number | true)> {
  const deadlineMs = waiting.deadlineMs ?? DEADLINE_MS;
  const endMs = performance.now() + deadlineMs;
  let last: unknown;
  while (true) {
    try {
      const value = await condition();
      if (isSomething(value)) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > endMs) {
      const why = last instanceof Error ? `: ${last.message}` : "";
      throw new Error(
        `waited ${deadlineMs} ms for ${waiting.what}${why}`,
        { cause: last },
      );
    }
    await pause(waiting.pauseMs ?? 50);
  }
}

/** Let `ms` milliseconds pass: for load and faults, never for conditions. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Fail when a promise takes too long.
 *
 * @param promise What is awaited.
 * @param waiting What it is and how long it may take.
 */
export async function within<T>(
  promise: Promise<T>,
  waiting: Waiting,
): Promise<T> {
  const deadlineMs = waiting.deadlineMs ?? DEADLINE_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`waited ${deadlineMs} ms for ${waiting.what}`)),
      deadlineMs,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function isSomething<T>(value: T): value is T & (object | string | number) {
  return value !== undefined && value !== null && value !== false;
}
