/**
 * Entry of the store worker: takes its messages.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { Problem } from "@kedge/schema";
import { describeError, isMissing } from "./disk.ts";
import { unpackOp } from "./op_codec.ts";
import { StoreWorker } from "./store_worker.ts";
import type { ToWorker, WorkerOptions } from "./worker_messages.ts";
import { say } from "./worker_voice.ts";

let worker: StoreWorker | undefined;

function open(options: WorkerOptions): void {
  try {
    worker = new StoreWorker(options);
    say({ kind: "opened", opened: worker.opened });
  } catch (error) {
    const slug = error instanceof Problem ? error.slug : "read-only";
    const what = isMissing(error) ? "a folder is missing" : error;
    const detail = typeof what === "string" ? what : describeError(what);
    say({ kind: "open-failed", slug, detail });
    self.close();
  }
}

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  switch (data.kind) {
    case "open":
      return open(data.options);
    case "batch":
      return worker?.batch({ ...data, ops: data.ops.map(unpackOp) });
    case "digests":
      return worker?.digests(data.request);
    case "settle":
      return worker?.settleNow(data.request, data.minAgeMs);
    case "pack":
      return worker?.pack(data.request, data.sizeBytesMax);
    case "close":
      return worker?.close(data.request, data.clean);
    default:
      return data satisfies never;
  }
};
