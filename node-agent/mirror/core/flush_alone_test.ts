/**
 * A flush that is answered without the peer is a promise that the peer may not
 * be able to keep: our data get a name of their own first.
 *
 * @module
 */

import assert from "node:assert/strict";
import { sameGeneration } from "../decisions/generations_core.ts";
import { type Pair, primaryPair } from "./volume_fixture.ts";

/** A write that both nodes have, stable on neither. */
function write(pair: Pair): void {
  let isAnswered = false;
  const data = new Uint8Array(4096).fill(9);
  pair.a.core.writes.write(0, data, (ok) => isAnswered = ok);
  pair.run(1);
  assert.ok(isAnswered);
}

function flush(pair: Pair): boolean | undefined {
  let answer: boolean | undefined;
  pair.a.core.writes.flush((ok) => answer = ok);
  pair.run(1);
  return answer;
}

function haveOneName({ a, b }: Pair): boolean {
  return sameGeneration(
    a.persistent.generations.current,
    b.persistent.generations.current,
  );
}

Deno.test("a flush without the peer names what the peer may lose", () => {
  const pair = primaryPair();
  write(pair);
  pair.cut(); // and the peer loses its power, and the write
  assert.ok(haveOneName(pair));
  assert.equal(flush(pair), true);
  assert.ok(!haveOneName(pair), "the peer could be promoted, and win");
});

Deno.test("a flush without the peer names nothing that is stable there", () => {
  const pair = primaryPair();
  write(pair);
  assert.equal(flush(pair), true);
  pair.cut();
  assert.equal(flush(pair), true);
  assert.ok(haveOneName(pair));
});
