/**
 * How the store worker speaks to the main isolate.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import type { FromWorker } from "./worker_messages.ts";

/** Say something; `transfer` is not ours any more. */
export function say(message: FromWorker, transfer: Transferable[] = []): void {
  self.postMessage(message, transfer);
}

/** Something that operators should know. */
export function warn(message: string, facts: Record<string, unknown>): void {
  say({ kind: "log", level: "warn", message, facts });
}
