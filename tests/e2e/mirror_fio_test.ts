/**
 * fio against a mirrored export while its hosts die: what fio verifies is
 * there, and both disks are equal in the end, byte by byte.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Child, isInstalled } from "../helpers/child.ts";
import { eventually, pause } from "../helpers/eventually.ts";
import { dataOf, differingBlocks } from "../helpers/mirror_pair_images.ts";
import {
  type MirrorPair,
  RESOURCE,
  startPair,
} from "../helpers/mirror_pair.ts";
import type { MirrorSide } from "../helpers/mirror_pair_side.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const KILLS = Number(Deno.env.get("KEDGE_FIO_KILLS") ?? 3);
const FAILOVERS = Number(Deno.env.get("KEDGE_FIO_FAILOVERS") ?? 4);
const MIB = 1024 * 1024;
/** More extents than the smallest activity log has slots. */
const LARGE_BYTES = 320 * MIB;

const missing = await firstMissing(["fio", "nbdkit"]);
const ignore = missing !== undefined;
if (ignore) say(`SKIPPED tests/e2e/mirror_fio: ${missing} is not installed`);

async function firstMissing(programs: readonly string[]) {
  for (const program of programs) {
    if (!await isInstalled(program)) return program;
  }
  return undefined;
}

/** Start fio's nbd engine on an export. */
function fio(scope: Scope, uri: string, more: readonly string[]): Child {
  return Child.start(scope, {
    command: [
      "fio",
      ...["--name=test", "--ioengine=nbd", `--uri=${uri}`],
      ...["--bs=4k", "--iodepth=16", "--randrepeat=0", ...more],
      "--verify_state_save=0",
    ],
  });
}

async function sidesAreEqual({ a, b }: MirrorPair): Promise<void> {
  const { sizeBytes } = await a.volume();
  const [left, right] = await Promise.all([
    dataOf(a.disk, sizeBytes),
    dataOf(b.disk, sizeBytes),
  ]);
  deepEqual(differingBlocks(left, right).slice(0, 5), []);
}

Deno.test({
  name: "the activity log finds what a Primary killed under fio did not send",
  ignore,
  async fn() {
    await using scope = new Scope();
    const random = new Random(seedOfRun("fio kills"));
    const pair = await startPair(scope, {
      protocol: "C",
      diskBytes: LARGE_BYTES,
      disk: "al-extents 67; resync-rate 4G;",
    });
    const { a, b } = pair;
    const { sizeBytes } = await a.volume();
    for (let round = 0; round < KILLS; round++) {
      const [from, to] = round % 2 === 0 ? [a, b] : [b, a];
      const load = fio(scope, from.uri, [
        ...["--rw=randwrite", "--time_based", "--runtime=60", "--fsync=64"],
      ]);
      await from.until(
        "writes",
        ({ counters }) => counters.logWrites > 20 + random.between(0, 40),
      );
      await from.kill();
      await load.kill();
      await to.promote();
      await from.start();
      await from.create();
      await from.must({ kind: "attach" });
      const { outOfSyncBytes } = await from.volume();
      say(`fio kill: ${outOfSyncBytes / MIB} MiB in the activity log`);
      ok(outOfSyncBytes > 0 && outOfSyncBytes < sizeBytes);
      await from.connect();
      await Promise.all([from.untilEqual(), to.untilEqual()]);
      await sidesAreEqual(pair);
    }
  },
});

/** A client that comes back: nbdkit asks again at whoever is Primary now. */
class PersistentClient {
  readonly uri: string;

  private constructor(readonly dir: string) {
    this.uri = `nbd+unix:///?socket=${dir}/front`;
  }

  /** Start one that talks to a Primary. */
  static async start(
    scope: Scope,
    dir: string,
    first: MirrorSide,
  ): Promise<PersistentClient> {
    const client = new PersistentClient(dir);
    await client.goTo(first);
    Child.start(scope, {
      command: [
        "nbdkit",
        ...["--foreground", "--unix", `${dir}/front`, "--filter=retry"],
        ...["nbd", `socket=${dir}/current`],
        ...[`export=${RESOURCE}`, "retries=200", "retry-delay=1"],
        "retry-exponential=no",
      ],
    });
    await eventually(() => Deno.stat(`${dir}/front`), { what: "nbdkit" });
    return client;
  }

  /** From now on this one is Primary. */
  async goTo(side: MirrorSide): Promise<void> {
    await Deno.remove(`${this.dir}/current`).catch(() => {});
    await Deno.symlink(side.exportSocket, `${this.dir}/current`);
  }
}

Deno.test({
  name: "fio verifies its data during repeated fail-over",
  ignore,
  async fn() {
    await using scope = new Scope();
    const random = new Random(seedOfRun("fio fail-over"));
    const pair = await startPair(scope, { protocol: "C" });
    const { a, b } = pair;
    const client = await PersistentClient.start(scope, pair.dir, a);
    const load = fio(scope, client.uri, [
      ...["--rw=randwrite", "--size=16m", "--loops=100000", "--time_based"],
      ...["--runtime=600", "--verify=crc32c", "--verify_backlog=256"],
      ...["--verify_fatal=1", "--fsync=50"],
    ]);
    let [from, to] = [a, b];
    for (let round = 0; round < FAILOVERS; round++) {
      const before = (await from.volume()).counters;
      await from.until(
        "writes and verifies",
        ({ counters }) =>
          counters.writtenBytes > before.writtenBytes + 4 * MIB &&
          counters.readBytes > before.readBytes + 2 * MIB,
      );
      await pause(random.between(0, 200));
      await from.kill();
      await to.promote();
      await client.goTo(to);
      await from.up();
      await Promise.all([from.untilEqual(), to.untilEqual()]);
      equal(load.ended, false, load.text);
      [from, to] = [to, from];
    }
    const last = (await from.volume()).counters.readBytes;
    await from.until(
      "more verifies",
      ({ counters }) => counters.readBytes > last + 2 * MIB,
    );
    load.signal("SIGINT");
    await load.status; // 128: interrupted
    match(load.text, /err= 0/);
    await Promise.all([from.untilEqual(), to.untilEqual()]);
    await sidesAreEqual(pair);
  },
});
