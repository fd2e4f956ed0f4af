/**
 * `kill -9` of one storage while clients upload: what was acknowledged and is
 * not there afterwards, or is other bytes.
 *
 * @module
 */

import { eventually, pause } from "../helpers/eventually.ts";
import type { FastdfsSubject } from "./fastdfs_subject.ts";
import type { Worker } from "./load.ts";
import {
  type FastdfsFile,
  type FastdfsReader,
  fastdfsReader,
  type FastdfsTracker,
  fastdfsUploader,
} from "./fastdfs_client.ts";

const SIZE_BYTES = 5_000;
const WORKERS = 8;
/** A file is lost when nobody gives it for this long after the kill, in ms. */
const LOST_MS = 60_000;

/** What a kill under load cost. */
export interface KillFigures {
  readonly acknowledged: number;
  /** Uploads that failed meanwhile; their clients know. */
  readonly refused: number;
  /** Acknowledged, and not to be had from anybody, or with another length. */
  readonly lost: number;
}

/** Upload, kill in the middle, wait for the storage, and read everything. */
export async function killUnderLoad(
  subject: FastdfsSubject,
  durationMs: number,
): Promise<KillFigures> {
  const files: FastdfsFile[] = [];
  let refused = 0;
  const endMs = performance.now() + durationMs;
  const client = async () => {
    while (performance.now() < endMs) {
      let upload: Worker | undefined;
      try {
        upload = await fastdfsUploader(
          ...[subject.tracker, SIZE_BYTES, files] as const,
        );
        while (performance.now() < endMs) await upload();
        upload.close?.();
      } catch {
        upload?.close?.();
        refused++;
        await pause(50);
      }
    }
  };
  const clients = Array.from({ length: WORKERS }, client);
  await pause(durationMs / 3);
  await subject.killOne();
  await Promise.all(clients);
  return {
    acknowledged: files.length,
    refused,
    lost: await lostOf(subject, files),
  };
}

async function lostOf(
  subject: FastdfsSubject,
  files: readonly FastdfsFile[],
): Promise<number> {
  // However long it takes: a file that was not asked for is not lost.
  let left: readonly FastdfsFile[] = await unreadable(subject, files);
  await eventually(async () => {
    if (left.length > 0) left = await unreadable(subject, left);
    return left.length === 0;
  }, { what: "every file", deadlineMs: LOST_MS, pauseMs: 1000 })
    .catch(() => undefined);
  return left.length;
}

async function unreadable(
  { tracker }: FastdfsSubject,
  files: readonly FastdfsFile[],
): Promise<FastdfsFile[]> {
  const queue = [...files];
  const readers = Array.from(
    { length: WORKERS },
    () => unreadableOf(tracker, queue),
  );
  return (await Promise.all(readers)).flat();
}

/** A reader, once the tracker answers: it may be what was killed. */
async function reader(tracker: FastdfsTracker): Promise<FastdfsReader> {
  let made: FastdfsReader | undefined;
  await eventually(async () => {
    made = await fastdfsReader(tracker).catch(() => undefined);
    return made !== undefined;
  }, { what: "the tracker", deadlineMs: LOST_MS, pauseMs: 200 });
  if (made === undefined) throw new Error("the tracker does not answer");
  return made;
}

/** Read until the queue is empty, and tell what could not be read. */
async function unreadableOf(
  tracker: FastdfsTracker,
  queue: FastdfsFile[],
): Promise<FastdfsFile[]> {
  const missing: FastdfsFile[] = [];
  let read = await reader(tracker);
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    try {
      if (await read(file) !== SIZE_BYTES) missing.push(file);
    } catch {
      missing.push(file);
      read.close();
      read = await reader(tracker);
    }
  }
  read.close();
  return missing;
}
