/**
 * How fast a resync or verify goes, and when it will end.
 *
 * Speed is that of the last marks, 3 s apart, as DRBD shows it (reference
 * §4.7); the average since the beginning stands for it at first.
 *
 * @module
 */

import { BLOCK_BYTES } from "./core/bitmap_core.ts";
import type { VolumeCore } from "./core/volume_core.ts";
import type { VolumeStatus } from "./worker_messages.ts";

const MARKS = 8;
const MARK_MS = 3_000;

/** See the module comment. */
export class Speedometer {
  #marks: { atMs: number; leftBytes: number }[] = [];
  #startedMs: number | undefined;
  #totalBytes = 0;

  /** Progress of what runs on a volume now; undefined: nothing does. */
  progressOf(core: VolumeCore): VolumeStatus["progress"] {
    const job = jobOf(core);
    if (job === undefined) {
      this.#startedMs = undefined;
      return undefined;
    }
    const nowMs = performance.now();
    if (this.#startedMs === undefined) this.#begin(nowMs, job.leftBytes);
    this.#totalBytes = Math.max(this.#totalBytes, job.leftBytes);
    this.#mark(nowMs, job.leftBytes);
    const first = this.#marks[0] ?? { atMs: nowMs, leftBytes: job.leftBytes };
    const seconds = Math.max(0.001, (nowMs - first.atMs) / 1000);
    const speed = Math.max(0, (first.leftBytes - job.leftBytes) / seconds);
    return {
      kind: job.kind,
      totalBytes: job.totalBytes ?? this.#totalBytes,
      leftBytes: job.leftBytes,
      elapsedMs: nowMs - (this.#startedMs ?? nowMs),
      bytesPerSecond: speed,
      wantBytesPerSecond: job.wantBytesPerSecond,
      etaSeconds: speed > 0 ? job.leftBytes / speed : undefined,
    };
  }

  #begin(nowMs: number, leftBytes: number): void {
    this.#startedMs = nowMs;
    this.#totalBytes = leftBytes;
    this.#marks = [{ atMs: nowMs, leftBytes }];
  }

  #mark(nowMs: number, leftBytes: number): void {
    const last = this.#marks.at(-1);
    if (last !== undefined && nowMs - last.atMs < MARK_MS) return;
    this.#marks.push({ atMs: nowMs, leftBytes });
    if (this.#marks.length > MARKS) this.#marks.shift();
  }
}

interface Job {
  readonly kind: "resync" | "verify";
  readonly leftBytes: number;
  readonly totalBytes: number | undefined;
  readonly wantBytesPerSecond: number | undefined;
}

function jobOf(core: VolumeCore): Job | undefined {
  const { connection } = core.state;
  if (connection === "SyncSource" || connection === "SyncTarget") {
    const want = core.target.progress?.wantKibPerSecond;
    return {
      kind: "resync",
      leftBytes: (core.bitmap?.count ?? 0) * BLOCK_BYTES,
      totalBytes: undefined,
      wantBytesPerSecond: want === undefined ? undefined : want * 1024,
    };
  }
  const { progress } = core.verify;
  if (connection !== "VerifyS" || progress === undefined) return undefined;
  return {
    kind: "verify",
    leftBytes: progress.totalBytes - progress.doneBytes,
    totalBytes: progress.totalBytes,
    wantBytesPerSecond: undefined,
  };
}
