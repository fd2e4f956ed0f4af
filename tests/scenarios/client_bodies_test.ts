/**
 * The memory of clients' bodies is used again while a peer lags or is away, and
 * while what lay there is downloaded: nobody gets another client's bytes.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type PeerAddress, Problem } from "@kedge/schema";
import { TcpTransport } from "../../node-agent/adapters/tcp_transport.ts";
import { ClientBodies } from "../../node-agent/client_bodies.ts";
import { FastdfsGateway } from "../../node-agent/fastdfs/gateway.ts";
import { createAgentApp } from "../../node-agent/http/agent_app.ts";
import type { ByteChannel, PeerTransport } from "../../node-agent/ports.ts";
import { DiskNode, inSync } from "../helpers/disk_node.ts";
import { eventually } from "../helpers/eventually.ts";
import { TestGateway } from "../helpers/fastdfs_gateway.ts";
import {
  downloadBody,
  head,
  idIn,
  RawFastdfs,
  uploadBody,
} from "../helpers/fastdfs_raw.ts";
import { MemoryTracker } from "../helpers/memory_tracker.ts";
import { NO_ADMIN } from "../helpers/no_admin.ts";
import { Random } from "../helpers/random.ts";
import { Scope } from "../helpers/scope.ts";

const CLIENTS = 8;
const CLOCK = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** A network that looks at bytes late, when it sends them. */
class LateTransport implements PeerTransport {
  pauseMs = 0;
  readonly #inner = new TcpTransport();

  async connect(address: PeerAddress, timeoutMs: number): Promise<ByteChannel> {
    return this.#late(await this.#inner.connect(address, timeoutMs));
  }

  listen(address: PeerAddress, onChannel: (channel: ByteChannel) => void) {
    const late = (channel: ByteChannel) => onChannel(this.#late(channel));
    return this.#inner.listen(address, late);
  }

  #late(channel: ByteChannel): ByteChannel {
    return {
      remote: channel.remote,
      read: (into) => channel.read(into),
      write: async (bytes) => {
        const { pauseMs } = this;
        if (pauseMs > 0) {
          await new Promise((resolve) => setTimeout(resolve, pauseMs));
        }
        await channel.write(bytes);
      },
      close: () => channel.close(),
    };
  }
}

/** A gateway of a node, whose memory is counted. */
function openGateway(scope: Scope, node: DiskNode, bodies: ClientBodies) {
  const seen = new Set<ArrayBuffer>();
  let taken = 0;
  const { take } = bodies;
  Object.assign(bodies, {
    take(lengthBytes: number) {
      const memory = take(lengthBytes);
      seen.add(memory.buffer);
      taken++;
      return memory;
    },
  });
  const { files } = node.store;
  const log = { info() {}, warn() {} };
  const { operations } = createAgentApp({
    ...{ node: 1, group: "group1", url: () => "http://node1.test" },
    ...{ files, replicator: node.replicator, clock: CLOCK, log },
    admin: NO_ADMIN,
  });
  const free = { hostname: "127.0.0.1", port: 0 };
  const gateway = new FastdfsGateway({
    ...{ listen: free, trackerListen: free, advertise: undefined },
    ...{ allowHosts: ["127.0.0.0/8"], isReadOnly: false },
    ...{ connectionsMax: 100, lists: "6" },
  }, {
    ...{ group: "group1", operations, bodies, clock: CLOCK, log },
    cluster: { fastdfsView: () => Promise.resolve({ groups: [], draws: [] }) },
    ...{ version: "0.1.0", pathCount: () => 1, subdirCount: 256 },
    changes: () => ({ own: 0, others: 0 }),
  });
  scope.defer(() => gateway.close());
  return { gateway, usedAgain: () => taken - seen.size };
}

type Gateway = ReturnType<typeof openGateway>["gateway"];

/** Several clients, who upload and look at what was uploaded before. */
async function useIt(
  gateway: Gateway,
  files: Map<string, Buffer>,
  uploads: number,
): Promise<void> {
  const client = async (number: number) => {
    const random = new Random(1000 * files.size + number);
    using storage = await RawFastdfs.connect(gateway.address);
    for (let i = 0; i < uploads; i++) {
      const content = Buffer.from(random.bytes(random.between(1000, 262_144)));
      const { status, body } = await storage.call(11, uploadBody(content));
      assert.equal(status, 0);
      files.set(idIn(body), content);
      const [id, wanted] = random.pick([...files].slice(-2 * CLIENTS));
      const found = await storage.call(14, downloadBody(id));
      assert(found.body.equals(wanted), `${id} is downloaded as it was`);
    }
  };
  const all = Array.from({ length: CLIENTS }, (_, number) => client(number));
  await Promise.all(all);
}

async function has(node: DiskNode, files: Map<string, Buffer>): Promise<void> {
  await eventually(() => node.store.files.fileCount() === files.size, {
    what: `${files.size} files at node ${node.store.log.node}`,
    deadlineMs: 20_000,
  });
  for (const [id, wanted] of files) {
    const entry = node.store.files.lookup(id);
    assert(entry, id);
    assert(wanted.equals(await node.read(entry)), id);
  }
}

Deno.test("memory of bodies that is used again mixes up no files, whoever lags", async () => {
  await using scope = new Scope();
  const dir = await scope.tempDir();
  const tracker = new MemoryTracker();
  tracker.level = "A";
  const bodies = new ClientBodies();
  const transport = new LateTransport();
  const first = await DiskNode.open(dir, 1, tracker, { bodies, transport });
  scope.defer(() => first[Symbol.asyncDispose]());
  const second = await DiskNode.open(dir, 2, tracker);
  await inSync(tracker, first, second);
  const { gateway, usedAgain } = openGateway(scope, first, bodies);
  const files = new Map<string, Buffer>();

  await useIt(gateway, files, 10);
  transport.pauseMs = 20;
  await useIt(gateway, files, 20);
  assert(second.store.files.fileCount() < files.size, "it lags");
  transport.pauseMs = 0;
  await has(second, files);
  const faults = /damaged|lost|cannot store|mismatch/;
  assert.deepEqual(first.lines.filter((line) => faults.test(line)), []);
  assert.deepEqual(second.lines.filter((line) => faults.test(line)), []);

  await second[Symbol.asyncDispose]();
  await useIt(gateway, files, 10);
  const again = await DiskNode.open(dir, 2, tracker);
  scope.defer(() => again[Symbol.asyncDispose]());
  await useIt(gateway, files, 5);
  await has(again, files);
  await has(first, files);
  assert(usedAgain() > files.size / 4, `${usedAgain()} of ${files.size}`);
});

Deno.test("the body of an upload is given back when its file is made, and never in doubt", async () => {
  await using scope = new Scope();
  const { door, bodies, gateway } = TestGateway.open(scope);
  Object.assign(bodies, { sweep() {} }); // what is free stays
  const body = uploadBody(new Uint8Array(200_000));
  const roomBytes = 256 * 1024;
  using client = await RawFastdfs.connect(gateway.address);

  const committing = Promise.withResolvers<void>();
  const made = Promise.withResolvers<void>();
  Object.defineProperty(door.replicator, "gate", {
    get() {
      committing.resolve();
      return made.promise;
    },
  });
  const answer = client.call(11, body);
  await committing.promise;
  assert.equal(bodies.freeBytes, 0, "it is being stored");
  made.resolve();
  assert.equal((await answer).status, 0);
  assert.equal(bodies.freeBytes, roomBytes);

  door.replicator.commitFailure = new Problem("uncertain", "nobody knows");
  assert.notEqual((await client.call(11, body)).status, 0);
  assert.equal(bodies.freeBytes, 0, "who knows what still looks at it");

  door.replicator.commitFailure = undefined;
  assert.equal((await client.call(11, body)).status, 0);
  assert.equal(bodies.freeBytes, roomBytes);
  const before = gateway.connections;
  const leaver = await RawFastdfs.connect(gateway.address);
  await leaver.send(head(body.length, 11));
  await leaver.send(body.subarray(0, 100_000));
  await eventually(() => bodies.freeBytes === 0, { what: "half a body" });
  leaver[Symbol.dispose]();
  await eventually(() => gateway.connections === before, { what: "its end" });
  assert.equal(bodies.freeBytes, 0, "the system may still write there");
});
