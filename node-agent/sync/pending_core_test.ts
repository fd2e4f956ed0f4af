import assert from "node:assert/strict";
import fc from "fast-check";
import { PendingQueue } from "./pending_core.ts";

Deno.test("a queue gives back what was put in, in order, whatever is taken when", () => {
  const steps = fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 400 });
  fc.assert(fc.property(steps, (steps) => {
    const queue = new PendingQueue();
    const model: number[] = [];
    let last = 0;
    for (const step of steps) {
      if (step >= 0) {
        last += step + 1;
        queue.push(change(last));
        model.push(last);
      } else {
        const upTo = (model[0] ?? 0) - step - 2;
        const taken = queue.takeUpTo(upTo)?.sequence;
        const first = model[0];
        const expected = first !== undefined && first <= upTo
          ? model.shift()
          : undefined;
        assert.equal(taken, expected);
      }
      assert.equal(queue.size, model.length);
      assert.equal(queue.oldest?.sequence, model[0]);
    }
  }));
});

Deno.test("a sequence must be higher than all that wait", () => {
  const queue = new PendingQueue();
  queue.push(change(5));
  assert.throws(() => queue.push(change(5)), RangeError);
});

Deno.test("takeWhere() takes what fits and leaves the rest in order", () => {
  const queue = new PendingQueue();
  for (const sequence of [1, 2, 3, 4]) queue.push(change(sequence));
  queue.takeUpTo(1);
  const taken = queue.takeWhere(({ sequence }) => sequence % 2 === 0);
  assert.deepEqual(taken.map(({ sequence }) => sequence), [2, 4]);
  assert.equal(queue.oldest?.sequence, 3);
  assert.equal(queue.size, 1);
});

Deno.test("memory is given back as the queue moves on", () => {
  const queue = new PendingQueue();
  for (let sequence = 1; sequence <= 100_000; sequence++) {
    queue.push(change(sequence));
    queue.takeUpTo(sequence - 10);
  }
  assert.equal(queue.size, 10);
});

function change(sequence: number) {
  return { op: sequence, sequence, sinceMs: sequence, origin: undefined };
}
