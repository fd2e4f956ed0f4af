/**
 * A frame leaves when it is sent: neither end of a link waits for more.
 *
 * @module
 */

import assert from "node:assert/strict";
import { eventually } from "../../../tests/helpers/eventually.ts";
import { NoDelayWatch } from "../../../tests/helpers/no_delay.ts";
import { freePorts, Side } from "./rendezvous_fixture.ts";

Deno.test("who dials and who is dialled send at once", async () => {
  using watch = await NoDelayWatch.start();
  const [port, peerPort] = freePorts();
  using a = new Side({ node: "a", port, peerPort });
  using b = new Side({ node: "b", port: peerPort, peerPort: port });
  a.rendezvous.seek(0, true);
  b.rendezvous.seek(0, true);
  const ends = await eventually(() => {
    const [ofA, ofB] = [a.taken?.conn, b.taken?.conn];
    return ofA === undefined || ofB === undefined ? undefined : [ofA, ofB];
  }, { what: "a connection on both sides" });
  assert.deepEqual(ends.map((conn) => watch.isQuick(conn)), [true, true]);
});
