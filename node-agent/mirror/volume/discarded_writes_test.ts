/**
 * What a former Primary of protocol A loses is counted and kept; nothing else
 * is taken for a loss.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { VolumeCore } from "../core/volume_core.ts";
import { OutOfSyncBitmap } from "../core/bitmap_core.ts";
import type { MirrorState } from "../decisions/mirror_state.ts";
import { DiscardGuard } from "./discarded_writes.ts";
import { listUndoFiles, UndoReader } from "./undo_reader.ts";

const BLOCK = 4096;
const SIZE = 64 * BLOCK;

const GOOD: MirrorState = {
  role: "Secondary",
  peerRole: "Primary",
  connection: "WFConnection",
  disk: "UpToDate",
  peerDisk: "UpToDate",
} as MirrorState;

/** A node whose disk holds ones; these blocks are marked. */
function rig(
  dir: string,
  marked: readonly number[],
  { protocol = "A", crashedPrimary = true, isDiscarding = false } = {},
) {
  const disk = new Uint8Array(SIZE).fill(1);
  const bitmap = new OutOfSyncBitmap(SIZE);
  for (const block of marked) bitmap.set(block * BLOCK, BLOCK);
  let state = GOOD;
  const core = {
    get state() {
      return state;
    },
    bitmap,
    sizeBytes: SIZE,
    config: { protocol },
    persistent: { flags: { crashedPrimary } },
    generations: { set: { current: 0x77n } },
    link: { negotiation: { isDiscarding } },
  } as unknown as VolumeCore;
  const log: string[] = [];
  const unreadable = new Set<number>();
  const guard = new DiscardGuard({
    place: { dir, resource: "r", volume: 0 },
    core: () => core,
    read(offset, into) {
      if (unreadable.has(offset / BLOCK)) return false;
      into.set(disk.subarray(offset, offset + into.length));
      return true;
    },
    log: (_level, text) => log.push(text),
  });
  const go = (part: Partial<MirrorState>) => {
    const before = state;
    state = { ...state, ...part };
    guard.stateChanged(before, state);
  };
  return {
    guard,
    bitmap,
    log,
    unreadable,
    go,
    begin() {
      if (state.connection === "WFConnection") {
        go({ connection: "WFReportParams" });
      }
      go({ connection: "WFBitMapT", disk: "Outdated" });
      go({ connection: "SyncTarget", disk: "Inconsistent" });
    },
    end: () => go({ connection: "Connected", disk: "UpToDate" }),
    write(offset: number, data: Uint8Array) {
      guard.before(offset, data.length, data);
      disk.set(data, offset);
    },
    zero(offset: number, lengthBytes: number) {
      guard.before(offset, lengthBytes);
      disk.fill(0, offset, offset + lengthBytes);
    },
  };
}

const bytes = (blocks: number, value: number) =>
  new Uint8Array(blocks * BLOCK).fill(value);

/** What it tells, but when. */
function foundBy({ found }: DiscardGuard) {
  if (found === undefined) return undefined;
  const { atMs, ...rest } = found;
  assert.ok(atMs > 0);
  return rest;
}

async function inFolder(work: (dir: string) => void): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-discards-" });
  try {
    work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("marked blocks that change are counted, once, and kept", () =>
  inFolder((dir) => {
    const node = rig(dir, [3, 4, 5, 9, 20]);
    node.begin();
    const changed = bytes(3, 1); // 3 stays, 4 and 5 change
    changed.fill(2, BLOCK);
    node.write(3 * BLOCK, changed);
    node.write(4 * BLOCK, bytes(1, 3)); // again: the peer's own data by now
    node.write(30 * BLOCK, bytes(2, 2)); // not marked
    node.zero(9 * BLOCK + 512, 512); // a part is a loss of its block
    assert.equal(node.guard.found?.isWhole, false);
    node.end();
    const [file] = listUndoFiles(dir);
    assert.ok(file?.isWhole);
    assert.deepEqual(foundBy(node.guard), {
      blocks: 3,
      isWhole: true,
      keptIn: file.path,
      keptBlocks: 3,
    });
    using reader = new UndoReader(file.path);
    const kept = Array.from(
      reader.pieces(),
      (
        { offset, content },
      ) => [
        offset / BLOCK,
        content.length / BLOCK,
        content.every((b) => b === 1),
      ],
    );
    assert.deepEqual(kept, [[4, 2, true], [9, 1, true]]);
    assert.match(node.log.join("\n"), /3 blocks \(12288 bytes\) .*discarded/);
  }));

Deno.test("where nothing differs, nothing is lost or kept", () =>
  inFolder((dir) => {
    const node = rig(dir, [3, 4]);
    node.begin();
    node.write(3 * BLOCK, bytes(2, 1));
    node.end();
    assert.deepEqual(foundBy(node.guard), { blocks: 0, isWhole: true });
    assert.deepEqual(listUndoFiles(dir), []);
    assert.match(node.log.join("\n"), /Nothing was discarded/);
  }));

Deno.test("a log that covers the whole volume is no full copy", () =>
  inFolder((dir) => {
    const node = rig(dir, Array.from({ length: 64 }, (_, block) => block));
    node.begin();
    node.write(0, bytes(64, 1).fill(2, 0, BLOCK));
    node.end();
    assert.equal(node.guard.found?.blocks, 1);
  }));

Deno.test("a resync that was cut goes on counting", () =>
  inFolder((dir) => {
    const node = rig(dir, [3, 4]);
    node.begin();
    node.write(3 * BLOCK, bytes(1, 2));
    node.go({ connection: "WFConnection" });
    node.go({ connection: "WFBitMapT" });
    node.go({ connection: "SyncTarget" });
    node.write(4 * BLOCK, bytes(1, 2));
    node.end();
    assert.equal(node.guard.found?.blocks, 2);
  }));

Deno.test("who was Primary and gave it up counts as well as who crashed", () =>
  inFolder((dir) => {
    const node = rig(dir, [3], { crashedPrimary: false });
    node.go({ role: "Primary", peerRole: "Unknown" });
    node.go({ role: "Secondary" });
    node.begin();
    node.write(3 * BLOCK, bytes(1, 2));
    assert.equal(node.guard.found?.blocks, 1);
  }));

Deno.test("no loss: another protocol, a Secondary, a full copy, another state", () =>
  inFolder((dir) => {
    const full = rig(dir, []); // the handshake wants a full copy
    full.go({ connection: "WFReportParams" });
    full.bitmap.set(0, SIZE);
    const nodes = [
      rig(dir, [3], { protocol: "C" }),
      rig(dir, [3], { crashedPrimary: false }),
      rig(dir, []),
      full,
    ];
    for (const node of nodes) {
      node.begin();
      node.write(3 * BLOCK, bytes(1, 2));
      node.end();
      assert.equal(node.guard.found, undefined);
    }
    const promoted = rig(dir, [3]);
    promoted.begin();
    promoted.go({ connection: "WFConnection", role: "Primary" });
    promoted.write(3 * BLOCK, bytes(1, 2));
    assert.equal(promoted.guard.found?.blocks, 0);
    assert.deepEqual(listUndoFiles(dir), []);
  }));

Deno.test("a discard by command has a file of its own: only counted here", () =>
  inFolder((dir) => {
    const node = rig(dir, [3], { isDiscarding: true });
    node.begin();
    node.write(3 * BLOCK, bytes(1, 2));
    node.end();
    assert.deepEqual(foundBy(node.guard), { blocks: 1, isWhole: true });
    assert.deepEqual(listUndoFiles(dir), []);
  }));

Deno.test("what is not kept is not said to be", () =>
  inFolder((dir) => {
    const node = rig(dir, [3, 9, 20]);
    node.begin();
    node.write(3 * BLOCK, bytes(1, 2));
    node.unreadable.add(9);
    node.write(9 * BLOCK, bytes(1, 2));
    node.write(20 * BLOCK, bytes(1, 2));
    node.end();
    assert.equal(node.guard.found?.blocks, 3);
    assert.equal(node.guard.found?.keptBlocks, 1);
    assert.match(node.log.at(-1) ?? "", /discarded, 1 of them kept in /);
  }));

Deno.test("the report outlives the process, until its undo file is removed", () =>
  inFolder((dir) => {
    const node = rig(dir, [3]);
    node.begin();
    node.write(3 * BLOCK, bytes(1, 2));
    node.end();
    const { found } = node.guard;
    assert.equal(found?.blocks, 1);
    assert.match(node.log.at(-1) ?? "", /^At most 1 blocks/);
    const next = rig(dir, []);
    assert.deepEqual(next.guard.found, found);
    next.begin(); // a resync that loses nothing changes nothing of it
    next.end();
    assert.deepEqual(next.guard.found, found);
    Deno.removeSync(found.keptIn ?? "");
    assert.equal(next.guard.found, undefined);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));

Deno.test("a process that ends in the middle: the next one goes on counting", () =>
  inFolder((dir) => {
    const node = rig(dir, [3, 4, 5]);
    node.begin();
    node.write(3 * BLOCK, bytes(1, 2));
    node.write(4 * BLOCK, bytes(1, 2));
    // Killed: it closes nothing. The bits of 3 and 4 are cleared on its disk.
    const next = rig(dir, [5, 6], { crashedPrimary: false });
    assert.equal(next.guard.found?.blocks, 2);
    assert.equal(next.guard.found?.isWhole, false);
    next.go({ connection: "WFReportParams", disk: "Inconsistent" });
    next.go({ connection: "WFBitMapT" });
    next.go({ connection: "SyncTarget" });
    next.write(4 * BLOCK, bytes(3, 7)); // 4 is the peer's own by now, 6 as well
    next.end();
    const [file, ...others] = listUndoFiles(dir);
    assert.deepEqual(others, []);
    assert.ok(file?.isWhole);
    assert.deepEqual(foundBy(next.guard), {
      blocks: 3,
      isWhole: true,
      keptIn: file.path,
      keptBlocks: 3,
    });
    assert.deepEqual(
      Array.from(Deno.readDirSync(dir), ({ name }) => name).sort(),
      [file.path.slice(dir.length + 1), "r-0-lost.json"].sort(),
    );
  }));

Deno.test("what is kept of one write is made durable once", () =>
  inFolder((dir) => {
    const node = rig(dir, [1, 3, 5, 7]);
    node.begin();
    node.write(BLOCK, bytes(1, 2)); // begins the file
    const { syncDataSync } = Deno.FsFile.prototype;
    let syncs = 0;
    Deno.FsFile.prototype.syncDataSync = function () {
      syncs++;
      syncDataSync.call(this);
    };
    try {
      node.write(2 * BLOCK, bytes(8, 2));
    } finally {
      Deno.FsFile.prototype.syncDataSync = syncDataSync;
    }
    assert.equal(node.guard.found?.keptBlocks, 4);
    assert.equal(syncs, 1);
  }));

Deno.test("what a command gave up is not told of at the next start", () =>
  inFolder((dir) => {
    const node = rig(dir, [3], { isDiscarding: true });
    node.begin();
    node.write(3 * BLOCK, bytes(1, 2));
    node.end();
    assert.equal(rig(dir, []).guard.found, undefined);
  }));
