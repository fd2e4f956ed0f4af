/**
 * A block of the Secondary changes under its daemon: a verify finds it, calls
 * the handler on both nodes, and the next resync (which compares digests)
 * copies that block alone, once its handlers allow it.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import { eventually } from "../helpers/eventually.ts";
import { MirrorLife } from "../helpers/mirror_pair_life.ts";
import type { MirrorSide } from "../helpers/mirror_pair_side.ts";
import { Scope } from "../helpers/scope.ts";

const BLOCK_BYTES = 4096;
const HANDLERS = [
  "out-of-sync",
  "before-resync-source",
  "before-resync-target",
  "after-resync-target",
] as const;

/** What the handlers of both hosts note, and a file that lets one refuse. */
class Notes {
  readonly path: string;
  readonly refusal: string;

  constructor(dir: string) {
    this.path = `${dir}/notes`;
    this.refusal = `${dir}/refuse`;
  }

  /** Every handler notes its name and what it is told of its volume. */
  handlersOf(side: MirrorSide) {
    const facts = "$DRBD_RESOURCE/$DRBD_VOLUME minor $DRBD_MINOR " +
      "peer $DRBD_PEER on $DRBD_LL_DISK";
    const note = (handler: string) =>
      `echo "${side.name} ${handler} ${facts}" >>${this.path}`;
    const lines = HANDLERS.map((handler) => [handler, note(handler)] as const);
    const { [HANDLERS[2]]: before, ...others } = Object.fromEntries(lines);
    const handlers = {
      ...others,
      "before-resync-target": `${before}; test ! -e ${this.refusal}`,
    };
    return (config: ResourceConfig): ResourceConfig => ({
      ...config,
      handlers,
    });
  }

  /** Lines of a handler. */
  async of(handler: string): Promise<string[]> {
    const text = await Deno.readTextFile(this.path).catch(() => "");
    return text.split("\n").filter((line) => line.split(" ")[1] === handler);
  }

  /** Wait until a handler was called so often. */
  async until(handler: string, times: number): Promise<string[]> {
    await eventually(async () => (await this.of(handler)).length >= times, {
      what: `${times} calls of ${handler}`,
    });
    return (await this.of(handler)).toSorted();
  }
}

function lineOf({ name, disk }: MirrorSide, handler: string): string {
  const peer = name === "a" ? "b" : "a";
  return `${name} ${handler} mirror/0 minor 199 peer ${peer} on ${disk}`;
}

function flip(path: string, block: number): void {
  using file = Deno.openSync(path, { read: true, write: true });
  const bytes = new Uint8Array(BLOCK_BYTES);
  file.seekSync(block * BLOCK_BYTES, Deno.SeekMode.Start);
  equal(file.readSync(bytes), BLOCK_BYTES);
  file.seekSync(block * BLOCK_BYTES, Deno.SeekMode.Start);
  equal(file.writeSync(bytes.map((byte) => byte ^ 0xff)), BLOCK_BYTES);
}

Deno.test("a block that differs is found, and copied when handlers agree", async () => {
  await using scope = new Scope();
  const life = await MirrorLife.start(scope, "verify", {
    protocol: "C",
    net: "verify-alg sha1; csums-alg sha1;",
  });
  const { a, b } = life.pair;
  const notes = new Notes(life.pair.dir);
  for (const side of [a, b]) {
    const { code } = await side.configure(notes.handlersOf(side));
    equal(code, 1);
  }
  await life.write(a, 200);
  const block = life.random.between(0, life.model.sizeBytes / BLOCK_BYTES - 1);
  flip(b.disk, block);
  await a.must({ kind: "verify" });
  const lines = await notes.until("out-of-sync", 2);
  deepEqual(lines, [lineOf(a, "out-of-sync"), lineOf(b, "out-of-sync")]);
  const marked = await Promise.all([a.untilEqual(), b.untilEqual()]);
  const [atA = 0, atB] = marked.map(({ outOfSyncBytes }) => outOfSyncBytes);
  ok(atA > 0 && atA === atB, `${atA} and ${atB} bytes are marked`);
  deepEqual(await life.difference(), [block], "a verify repairs nothing");

  await Deno.writeTextFile(notes.refusal, "");
  await b.must({ kind: "disconnect", force: false });
  await b.connect();
  await b.child.line(/before-resync-target failed \(1\): connection dropped/);
  await b.until(
    "no connection",
    ({ state }) => state.connection === "StandAlone",
  );
  deepEqual(await life.difference(), [block], "nothing is overwritten");

  await Deno.remove(notes.refusal);
  await b.connect();
  deepEqual(
    await notes.until("after-resync-target", 1),
    [lineOf(b, "after-resync-target")],
  );
  const now = await Promise.all([a.untilEqual(), b.untilEqual()]);
  deepEqual(now.map(({ outOfSyncBytes }) => outOfSyncBytes), [0, 0]);
  equal((await notes.of("before-resync-target")).length, 2);
  equal((await notes.of("before-resync-source")).length, 2);
  await life.nothingIsLost(a);
  await life.disksAreEqual();

  // Everything is compared, hardly anything is sent.
  const sent = (await a.volume()).counters.sentBytes;
  await b.must({ kind: "invalidate" });
  await notes.until("after-resync-target", 2);
  const { counters } = await a.untilEqual();
  const sentBytes = counters.sentBytes - sent;
  ok(sentBytes < life.model.sizeBytes / 16, `${sentBytes} bytes were sent`);
});
