import assert from "node:assert/strict";
import type { CommandResult } from "./core/volume_types.ts";
import { untilSettled } from "./transient_retry.ts";

/** A command that meets these answers, one per try. */
function tryWith(
  codes: readonly number[],
  isWanted: () => boolean = () => true,
): {
  readonly tries: number;
  readonly answers: number[];
  readonly atMs: number;
} {
  let nowMs = 0;
  let tries = 0;
  const answers: number[] = [];
  const due: (() => void)[] = [];
  untilSettled((done) => {
    const code = codes[Math.min(tries++, codes.length - 1)] ?? 1;
    done({ code });
  }, {
    isWanted,
    done: ({ code }: CommandResult) => void answers.push(code),
    time: {
      now: () => nowMs,
      later: (act, ms) => {
        nowMs += ms;
        due.push(act);
      },
    },
  });
  for (let act = due.shift(); act !== undefined; act = due.shift()) act();
  return { tries, answers, atMs: nowMs };
}

Deno.test("untilSettled() tries again while a state changes, and only then", () => {
  assert.deepEqual(tryWith([1]), { tries: 1, answers: [1], atMs: 0 });
  assert.deepEqual(tryWith([-2]), { tries: 1, answers: [-2], atMs: 0 });
  const { tries, answers } = tryWith([-18, -18, 1]);
  assert.deepEqual([tries, answers], [3, [1]]);
});

Deno.test("untilSettled() gives up after a while, or when nobody wants it", () => {
  const { answers, atMs } = tryWith([-18]);
  assert.deepEqual([answers, atMs], [[-18], 5000]);
  const gone = tryWith([-18, 1], () => false);
  assert.deepEqual([gone.tries, gone.answers], [1, [-18]]);
});
