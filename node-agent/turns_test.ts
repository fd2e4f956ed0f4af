import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { Turns } from "./turns.ts";

Deno.test("Turns lets so many through at once, in order, also after failures", async () => {
  const turns = new Turns(2);
  const order: number[] = [];
  let underWay = 0;
  let most = 0;
  const results = await Promise.allSettled(
    [1, 2, 3, 4, 5].map((number) =>
      turns.run(async () => {
        order.push(number);
        most = Math.max(most, ++underWay);
        await Promise.resolve();
        underWay--;
        if (number === 2) throw new Error("expected by the test");
        return number;
      })
    ),
  );
  assert.deepEqual(order, [1, 2, 3, 4, 5]);
  assert.equal(most, 2);
  assert.deepEqual(
    results.map(({ status }) => status === "fulfilled"),
    [true, false, true, true, true],
  );
});

Deno.test("Turns gives the turn of what hangs to others, once", async () => {
  const turns = new Turns(1);
  const [first, second] = [0, 1].map(() => Promise.withResolvers<void>());
  assert(first !== undefined && second !== undefined);
  const order: string[] = [];
  const hangs = turns.run(() => first.promise, 1);
  const begun = Promise.withResolvers<void>();
  const others = [
    turns.run(async () => {
      begun.resolve();
      await second.promise;
      order.push("second");
    }),
    turns.run(() => Promise.resolve(void order.push("third"))),
  ];
  await begun.promise;
  first.resolve();
  await hangs; // its turn is the second one's: the third one goes on waiting
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(order, []);
  second.resolve();
  await Promise.all(others);
  assert.deepEqual(order, ["second", "third"]);
});
