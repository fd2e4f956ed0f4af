/**
 * Which resync goes on with an undo file: the one that it was begun for.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { VolumeCore } from "../core/volume_core.ts";
import { UndoGuard } from "./undo_guard.ts";
import { listUndoFiles } from "./undo_reader.ts";

const BLOCK = 4096;

/** A guard of a volume of 64 KiB whose blocks hold what the test says. */
class Rig {
  isConsistent = true;
  content = 0xaa;
  readonly log: string[] = [];

  constructor(readonly dir: string) {}

  guard(): UndoGuard {
    const core = () => ({
      generations: { set: { current: 0x1234n } },
      persistent: { flags: { consistent: this.isConsistent } },
      sizeBytes: 16 * BLOCK,
      bitmap: undefined,
    });
    return new UndoGuard({
      place: { dir: this.dir, resource: "r", volume: 0 },
      core: core as unknown as () => VolumeCore,
      read: (_offset, into) => {
        into.fill(this.content);
        return true;
      },
      log: (_level, text) => this.log.push(text),
    });
  }

  /** What is kept, by block, and whether the file has its end. */
  kept(): { readonly keptBytes: number; readonly isWhole: boolean }[] {
    return listUndoFiles(this.dir)
      .map(({ keptBytes, isWhole }) => ({ keptBytes, isWhole }));
  }
}

async function withRig(test: (rig: Rig) => void): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-guard-" });
  try {
    test(new Rig(dir));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A discard whose resync is cut after its first block. */
function cutDiscard(rig: Rig): void {
  const guard = rig.guard();
  guard.noteGeneration();
  guard.keep(true);
  guard.resume();
  guard.before(0, BLOCK);
  guard.close();
}

Deno.test("a resync that was cut goes on with its undo file", async () => {
  await withRig((rig) => {
    cutDiscard(rig);
    rig.isConsistent = false;
    const guard = rig.guard();
    guard.noteGeneration();
    guard.resume();
    guard.before(BLOCK, BLOCK);
    guard.keep(false);
    assert.deepEqual(rig.kept(), [{ keptBytes: 2 * BLOCK, isWhole: true }]);
  });
});

Deno.test("another resync keeps nothing in the undo file of an earlier one", async () => {
  await withRig((rig) => {
    cutDiscard(rig);
    rig.isConsistent = true; // promoted by force, or resynced, since then
    const guard = rig.guard();
    guard.noteGeneration();
    guard.resume();
    rig.content = 0xbb; // of a later time
    guard.before(BLOCK, BLOCK);
    guard.keep(false);
    assert.deepEqual(rig.kept(), [{ keptBytes: BLOCK, isWhole: false }]);
  });
});

Deno.test("an undo file that was given up never is whole again", async () => {
  await withRig((rig) => {
    const guard = rig.guard();
    guard.noteGeneration();
    guard.keep(true);
    guard.before(0, BLOCK);
    const { writeSync } = Deno.FsFile.prototype;
    try {
      Deno.FsFile.prototype.writeSync = () => {
        throw new Error("No space left on device");
      };
      guard.before(BLOCK, BLOCK);
    } finally {
      Deno.FsFile.prototype.writeSync = writeSync;
    }
    assert.match(rig.log.join("\n"), /ends here.*No space left/);
    rig.isConsistent = false;
    guard.noteGeneration();
    guard.resume();
    guard.before(2 * BLOCK, BLOCK);
    guard.keep(false);
    assert.deepEqual(rig.kept(), [{ keptBytes: BLOCK, isWhole: false }]);
  });
});
