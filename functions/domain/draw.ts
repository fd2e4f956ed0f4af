/**
 * Round robin without state.
 *
 * FastDFS's tracker keeps a counter per group. Ours may not: it is a function
 * that starts anywhere, any number of times. So each request draws its member
 * at random, every one with the same chance. Over n draws each of k members
 * gets n/k ± √(n/k), which is what k counters that started at random would give;
 * no tracker has to agree with another. The draw comes in as a number, so the
 * choice itself is a pure function.
 *
 * An upload with an `Idempotency-Key` draws from its key instead: all trackers
 * send it to the same node for as long as that node is there, whoever else comes
 * or goes, because that node is the first to know whether the key is used.
 * Source: rendezvous hashing, Thaler and Ravishankar 1998.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** Gives the next random number, at least 0 and less than 1. */
export type Draw = () => number;

/**
 * Choose one, all with the same chance.
 *
 * @param choices What there is.
 * @param draw Source of the number.
 * @returns One of them, or `undefined` when there are none.
 */
export function drawOne<Choice>(
  choices: readonly Choice[],
  draw: Draw,
): Choice | undefined {
  if (choices.length < 2) return choices[0];
  return choices[Math.floor(draw() * choices.length)];
}

/**
 * Choose one of those with the best score; equals are drawn.
 *
 * @param choices What there is.
 * @param score Higher is better.
 * @param draw Source of the number.
 * @returns One of them, or `undefined` when there are none.
 */
export function drawBest<Choice>(
  choices: readonly Choice[],
  score: (choice: Choice) => number,
  draw: Draw,
): Choice | undefined {
  let best: Choice[] = [];
  let bestScore = -Infinity;
  for (const choice of choices) {
    const its = score(choice);
    if (its > bestScore) {
      bestScore = its;
      best = [choice];
    } else if (its === bestScore) best.push(choice);
  }
  return drawOne(best, draw);
}

/** What {@linkcode drawByKey} needs. */
export interface KeyedDraw<Choice> {
  /** The `Idempotency-Key`. */
  readonly key: string;
  /** What a choice is called; the same at every tracker, always. */
  readonly nameOf: (choice: Choice) => string | number;
  /** How much of the keys it gets; all get the same when missing. */
  readonly weightOf?: (choice: Choice) => number;
}

/**
 * Choose by a key: each choice gets its share of the keys, and keeps its keys
 * when other choices come or go.
 *
 * @param choices What there is.
 * @param draw The key, and what the choices are called.
 * @returns One of them, or `undefined` when there are none.
 */
export function drawByKey<Choice>(
  choices: readonly Choice[],
  { key, nameOf, weightOf = () => 1 }: KeyedDraw<Choice>,
): Choice | undefined {
  const scoreOf = (choice: Choice) =>
    weightOf(choice) / -Math.log(fraction(`${key}\0${nameOf(choice)}`));
  return drawBest(choices, scoreOf, () => 0);
}

/** More than 0 and less than 1, the same for the same text. */
function fraction(text: string): number {
  const digest = createHash("sha256").update(text).digest();
  return (digest.readUInt32BE(0) + 0.5) / 2 ** 32;
}
