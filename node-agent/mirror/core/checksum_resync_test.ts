/**
 * A resync that compares digests first: what is equal is not sent. With
 * `csums-after-crash-only` only the copy of a crashed Primary is compared.
 *
 * Source: DRBD 8.4, reference §1, `csums-alg`, `csums-after-crash-only`.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Pair, primaryPair } from "./volume_fixture.ts";
import type { VolumeConfig } from "./volume_types.ts";

/** Blocks that were asked for with a digest, and payload that was sent. */
interface Traffic {
  asked: number;
  withDigest: number;
  sentBytes: number;
}

function watch({ a, b }: Pair): Traffic {
  const traffic = { asked: 0, withDigest: 0, sentBytes: 0 };
  const [atSource, atTarget] = [b.core.frame, a.core.frame];
  b.core.frame = (frame, epoch) => {
    if (frame.kind === "resyncRequest") {
      traffic.asked++;
      if (frame.digest.length > 0) traffic.withDigest++;
    }
    atSource.call(b.core, frame, epoch);
  };
  a.core.frame = (frame, epoch) => {
    if (frame.kind === "resyncData") traffic.sentBytes += frame.payload.length;
    atTarget.call(a.core, frame, epoch);
  };
  return traffic;
}

/** `a` was Primary, and becomes target of one block that is equal already. */
function resync(config: Partial<VolumeConfig>, crashes: boolean): Traffic {
  const pair = primaryPair(config);
  const { a, b } = pair;
  if (!crashes) a.core.roles.secondary(({ code }) => assert.equal(code, 1));
  pair.run(2);
  pair.cut();
  if (crashes) pair.restart(a);
  assert.equal(a.persistent.flags.crashedPrimary, crashes);
  b.core.roles.primary(false, ({ code }) => assert.equal(code, 1));
  b.core.writes.write(0, new Uint8Array(4096).fill(7), () => {});
  pair.run(2);
  a.data.set(b.data);
  const traffic = watch(pair);
  pair.mend();
  assert.equal(a.core.state.disk, "UpToDate");
  assert.ok(traffic.asked > 0, "there was nothing to copy");
  return traffic;
}

const SHA1 = { checksumAlgorithm: "sha1" };

for (
  const { what, config, crashes, compares } of [
    { what: "no csums-alg", config: {}, crashes: true, compares: false },
    { what: "csums-alg", config: SHA1, crashes: false, compares: true },
    {
      what: "csums-after-crash-only, nobody crashed",
      config: { ...SHA1, checksumAfterCrashOnly: true },
      crashes: false,
      compares: false,
    },
    {
      what: "csums-after-crash-only, after a crash",
      config: { ...SHA1, checksumAfterCrashOnly: true },
      crashes: true,
      compares: true,
    },
  ]
) {
  Deno.test(`${what}: ${compares ? "compares" : "sends everything"}`, () => {
    const { asked, withDigest, sentBytes } = resync(config, crashes);
    assert.equal(withDigest, compares ? asked : 0);
    assert.equal(sentBytes > 0, !compares);
  });
}
