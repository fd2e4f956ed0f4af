/**
 * Malformed conversations may never crash, confuse or bloat an agent, nor change
 * a file that they do not name.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { parseJournalToken } from "../../node-agent/files/body_journal_core.ts";
import { eventually } from "../helpers/eventually.ts";
import { conversation } from "../helpers/fastdfs_fuzz.ts";
import {
  downloadBody,
  idIn,
  RawFastdfs,
  uploadBody,
} from "../helpers/fastdfs_raw.ts";
import { startFastdfs } from "../helpers/fastdfs_stack.ts";
import { usageOf } from "../helpers/proc.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { Scope } from "../helpers/scope.ts";

/** Conversations of one run; `KEDGE_FASTDFS_FUZZ` asks for more. */
const COUNT = Number(Deno.env.get("KEDGE_FASTDFS_FUZZ") ?? 3_000);
const WIDTH = 8;
/** Files that are open now and then: database, journals of bodies, the peer. */
const DESCRIPTORS_MORE = 8;
const MIB = 1024 * 1024;
/** Room for what a collector has not taken back yet. */
const GROWTH_BYTES_MAX = 192 * MIB;

Deno.test(`fastdfs: ${COUNT} malformed conversations`, async () => {
  const seed = seedOfRun("fastdfs fuzz");
  await using scope = new Scope();
  const stack = await startFastdfs(scope, {
    env: { KEDGE_FASTDFS_CONNECTIONS_MAX: "64" },
  });
  const storage = { hostname: stack.storage(1), port: 23_000 };
  const tracker = { hostname: stack.host, port: 22_122 };
  const kept = Buffer.from(new Random(seed).bytes(200_000));
  const keptId = await upload(storage, kept, 11);
  const files = {
    normal: await upload(storage, Buffer.from("a normal file"), 11),
    appender: await upload(storage, Buffer.from("an appender"), 23),
  };

  const run = async (from: number, count: number) => {
    let next = from;
    await Promise.all(Array.from({ length: WIDTH }, async () => {
      while (next < from + count) {
        const number = next++;
        const random = new Random(seed + number * 7919);
        const address = random.next() < 0.7 ? storage : tracker;
        await converse(address, conversation(random, files));
      }
    }));
  };
  const pids = stack.ready.agents.map(({ pid }) => pid);
  const descriptors = () =>
    Math.max(
      ...pids.map((pid) => [...Deno.readDirSync(`/proc/${pid}/fd`)].length),
    );
  const staged = () =>
    [1, 2].flatMap((node) => [
      ...Deno.readDirSync(`${stack.data}/node-${node}/store/data/.tmp`),
    ]).filter(({ name }) => parseJournalToken(`${name}.0.0`) === undefined)
      .length;
  const rss = () => Math.max(...pids.map((pid) => usageOf(pid).rssBytes));
  await run(0, Math.floor(COUNT / 3));
  const before = rss();
  const opened = descriptors();
  await run(Math.floor(COUNT / 3), COUNT - Math.floor(COUNT / 3));
  const grown = rss() - before;
  assert(grown < GROWTH_BYTES_MAX, `grown by ${Math.round(grown / MIB)} MiB`);

  const running = JSON.parse(
    await Deno.readTextFile(`${stack.data}/running.json`),
  ) as { agents: { pid: number }[] };
  assert.deepEqual(running.agents.map(({ pid }) => pid), pids, "none died");
  for (const index of [1, 2]) {
    const log = await Deno.readTextFile(`${stack.data}/log/node-${index}.log`);
    assert.doesNotMatch(log, /FastDFS (request|connection) failed/);
  }
  await eventually(() => upload(storage, Buffer.from("after"), 11), {
    what: "an upload after all that",
  });
  await eventually(
    () => staged() === 0 && descriptors() <= opened + DESCRIPTORS_MORE,
    { what: "files and connections to be let go" },
  );
  using reader = await RawFastdfs.connect(storage);
  const { body } = await reader.call(14, downloadBody(keptId));
  assert.deepEqual(body, kept);
});

async function upload(
  address: Deno.NetAddr | { hostname: string; port: number },
  content: Uint8Array,
  command: number,
): Promise<string> {
  using storage = await RawFastdfs.connect(address);
  const { status, body } = await storage.call(command, uploadBody(content));
  assert.equal(status, 0);
  return idIn(body);
}

/** Say it all, take what comes, hang up. */
async function converse(
  address: { hostname: string; port: number },
  bytes: Buffer,
): Promise<void> {
  let conn: Deno.TcpConn;
  try {
    conn = await Deno.connect(address);
  } catch (error) {
    throw new Error("the door is closed", { cause: error });
  }
  const sink = new Uint8Array(64 * 1024);
  try {
    for (let at = 0; at < bytes.length;) {
      at += await conn.write(bytes.subarray(at));
    }
    // A server that waits for more sees our end, and ends too.
    await conn.closeWrite();
    let taken = 0;
    while (taken < 4 * MIB) {
      const count = await conn.read(sink);
      if (count === null) break;
      taken += count;
    }
  } catch (error) {
    const isExpected = error instanceof Deno.errors.ConnectionReset ||
      error instanceof Deno.errors.BrokenPipe ||
      error instanceof Deno.errors.NotConnected;
    if (!isExpected) throw error;
  } finally {
    conn.close();
  }
}
