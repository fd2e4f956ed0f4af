import assert from "node:assert/strict";
import { primaryPair } from "./volume_fixture.ts";

Deno.test("with A a full epoch is not closed over and over while the peer is slow", () => {
  const pair = primaryPair({ protocol: "A", maxEpochWrites: 8 });
  const { a } = pair;
  const data = new Uint8Array(4096).fill(7);
  const flushes = () => a.sent.filter(({ kind }) => kind === "flush").length;
  const before = flushes();
  let answered = 0;
  for (let block = 0; block < 20; block++) {
    a.core.writes.write(block * 4096, data, () => answered++);
    a.core.settle();
    a.work(); // nothing of what was sent reaches the peer
  }
  assert.equal(answered, 20);
  let turns = 0;
  while (a.work()) assert.ok(++turns < 9, "one flush begins the next");
  const begun = flushes() - before;
  assert.ok(begun >= 1 && begun <= 3, `${begun} flushes`);

  pair.run();
  assert.equal(a.core.writes.waitsForPeer, false);
});
