/**
 * What a former Primary of protocol A says that it has lost, against what its
 * client knows to be lost (promises.md B5).
 *
 * @module
 */

import { deepEqual, ok } from "node:assert/strict";
import { UndoReader } from "../../node-agent/mirror/volume/undo_reader.ts";
import { PIECE_BYTES } from "./mirror_pair_model.ts";
import type { MirrorSide } from "./mirror_pair_side.ts";

/** What can wait for a peer that does not take it, in bytes (B5). */
export const QUEUE_BYTES = 4 * 1024 * 1024;

/**
 * Every lost piece is among what the node reports and keeps, and that is no more
 * than what could wait to be sent.
 *
 * @param lost Numbers of the pieces that have lost an acknowledged write.
 */
export async function lossesAreReported(
  side: MirrorSide,
  lost: readonly number[],
): Promise<void> {
  const { discarded } = await side.volume();
  ok(discarded?.isWhole, `no report: ${side.log}`);
  const kept = new Set<number>();
  if (discarded.keptIn !== undefined) {
    using reader = new UndoReader(discarded.keptIn);
    for (const { offset, content } of reader.pieces()) {
      const first = offset / PIECE_BYTES;
      const count = content.length / PIECE_BYTES;
      for (let index = 0; index < count; index++) kept.add(first + index);
    }
    ok(reader.isWhole);
  }
  deepEqual(lost.filter((piece) => !kept.has(piece)), []);
  const bytes = discarded.blocks * 4096;
  deepEqual(kept.size * PIECE_BYTES, bytes);
  ok(bytes <= QUEUE_BYTES, `${bytes} bytes are more than the queue has`);
  if (discarded.keptIn === undefined) return;
  await side.kill();
  await side.up();
  deepEqual((await side.volume()).discarded, discarded);
  await side.untilEqual();
}
