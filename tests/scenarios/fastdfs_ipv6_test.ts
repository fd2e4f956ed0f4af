/**
 * A storage with an IPv6 address: addresses in answers have 45 characters' room,
 * as FastDFS gives them to everybody once one of them is longer than 15.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { TestGateway } from "../helpers/fastdfs_gateway.ts";
import { field, idIn, named, uploadBody } from "../helpers/fastdfs_raw.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const HOST = "::1";
const GROUP = field("group1", 16);

const isThere = hasIpv6();
if (!isThere) say("SKIPPED: this machine has no IPv6 loopback (::1)");

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: HOST, port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

/** The field of an address, without what fills it up. */
const address = (body: Buffer, at: number, width: number) =>
  body.toString("latin1", at, at + width).replace(/\0+$/, "");

Deno.test({
  name: "fastdfs: a storage on IPv6 is found, used and listed",
  ignore: !isThere,
  async fn() {
    await using scope = new Scope();
    const listen = { hostname: HOST, port: 0 };
    const config = { listen, trackerListen: listen, allowHosts: [HOST] };
    const made = TestGateway.open(scope, { config });
    const { port } = made.gateway.address;
    using tracker = await made.tracker();

    const found = await tracker.call(101);
    assert.equal(found.status, 0);
    assert.equal(found.body.length, 16 + 45 + 8 + 1);
    assert.equal(address(found.body, 16, 45), HOST);
    assert.equal(found.body.readBigInt64BE(61), BigInt(port));

    using storage = await made.storage();
    const { body } = await storage.call(11, uploadBody(Buffer.from("hello")));
    const id = idIn(body);
    const facts = await storage.call(22, named(id));
    assert.equal(facts.body.length, 24 + 46);
    assert.equal(address(facts.body, 24, 46), HOST);

    for (const command of [102, 103]) {
      const { body } = await tracker.call(command, named(id));
      assert.equal(body.length, 16 + 45 + 8);
    }
    // Of all that have it each comes with its port.
    const all = await tracker.call(105, named(id));
    assert.equal(all.body.length, 16 + 2 * (45 + 8));
    const stores = await tracker.call(107, GROUP);
    assert.equal((stores.body.length - 17) % (45 + 8), 0);
    const storages = await tracker.call(92, GROUP);
    assert.equal(storages.status, 0);
    assert(storages.body.includes(`${HOST}\0`), "the list has it whole");
    assert.deepEqual(made.warnings, []);
  },
});
