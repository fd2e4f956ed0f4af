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
 * @module
 */

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
