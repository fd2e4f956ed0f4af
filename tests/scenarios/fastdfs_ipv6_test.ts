/**
 * A storage with an IPv6 address: addresses in answers have 45 characters' room,
 * as FastDFS gives them to everybody once one of them is longer than 15.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Api, readFile } from "../helpers/api.ts";
import { Child } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import { TestGateway } from "../helpers/fastdfs_gateway.ts";
import {
  field,
  idIn,
  named,
  RawFastdfs,
  uploadBody,
} from "../helpers/fastdfs_raw.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { kedgeCommand } from "../helpers/stack.ts";

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

// 4 s
Deno.test({
  name: "fastdfs: a tracker and an agent that have IPv6 alone",
  ignore: !isThere,
  async fn() {
    await using scope = new Scope();
    const dir = await scope.tempDir();
    const any = `[${HOST}]:0`;
    const start = (env: Record<string, string>, ...words: string[]) =>
      Child.start(scope, { command: kedgeCommand(words), env });
    const tracker = start({
      KEDGE_LISTEN: any,
      KEDGE_KV: `${dir}/kv.db`,
      KEDGE_ACCESS: "open",
    }, "tracker");
    const ready = await tracker.line(/^\{"ready":true/, 20_000);
    const { url } = JSON.parse(ready) as { url: string };
    const api = new Api(url);
    await api.call("POST", "/v1/groups", { name: "group1" });
    const asked = { kind: "join", group: "group1", expiresS: 600 };
    const { token } = await api
      .call<{ token: string }>("POST", "/v1/tokens", asked);
    const options = {
      ...{ data: `${dir}/a`, tracker: url, listen: any, "peer-listen": any },
      ...{ "fastdfs-listen": any, "fastdfs-tracker-listen": any },
    };
    const words = Object.entries(options)
      .flatMap(([name, value]) => [`--${name}`, value]);
    const agent = start({
      KEDGE_JOIN_TOKEN: token,
      KEDGE_RESERVED_STORAGE_SPACE: "64MB",
    }, ...["agent", "--json", "--fastdfs", ...words]);
    await agent.line(/"ready":true/, 20_000);
    const { report } = await eventually(
      async () => (await api.nodes()).find((node) => node.report?.fastdfs),
      { what: "the address of the storage" },
    );
    assert(report?.fastdfs !== undefined);
    assert.equal(report.fastdfs.hostname, HOST);
    using storage = await RawFastdfs.connect(report.fastdfs);
    const made = await storage.call(11, uploadBody(Buffer.from("hello")));
    assert.equal(made.status, 0);
    const id = idIn(made.body);
    const facts = await storage.call(22, named(id));
    assert.equal(address(facts.body, 24, 46), HOST);
    assert.equal(String(await readFile(report.url, id)), "104,101,108,108,111");
  },
});
