import assert from "node:assert/strict";
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
