/**
 * `verify`: each reason it can be refused for is told by its own code.
 *
 * Source: DRBD 8.4, reference §2.5.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Pair, primaryPair } from "./volume_fixture.ts";

function codeOfVerify(pair: Pair): number | undefined {
  let code: number | undefined;
  pair.a.core.verify.start({}, (result) => code = result.code);
  pair.run(1);
  return code;
}

Deno.test("without a connection verify asks for one (-15)", () => {
  const pair = primaryPair();
  pair.cut();
  assert.equal(codeOfVerify(pair), -15);
});

Deno.test("without verify-alg verify asks for one (-14)", () => {
  assert.equal(codeOfVerify(primaryPair({ verifyAlgorithm: "" })), -14);
});

Deno.test("without a good copy on both sides verify says so (-2)", () => {
  const pair = primaryPair();
  pair.a.core.disk.detach(true, () => {});
  pair.run(2);
  assert.equal(codeOfVerify(pair), -2);
});
