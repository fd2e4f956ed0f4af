/** A reply leaves when it is due: the server's end does not wait for more. */

import assert from "node:assert/strict";
import { startRig } from "../helpers/nbd_rig.ts";
import { NoDelayWatch } from "../helpers/no_delay.ts";

Deno.test("a connection over TCP sends replies at once", async () => {
  await using rig = startRig();
  using watch = await NoDelayWatch.start();
  const { hostname, port } = rig.addr as Deno.NetAddr;
  using client = await Deno.connect({ hostname, port });
  // The greeting: it was accepted.
  assert.ok(await client.read(new Uint8Array(18)));
  assert.equal(watch.isOtherEndQuick(client), true);
  assert.equal(watch.isQuick(client), false, "it is not this test that asked");
});
