/**
 * How the store worker speaks to the main isolate.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import type { FromWorker } from "./worker_messages.ts";

/** Say something. */
export function say(message: FromWorker): void {
  self.postMessage(message);
}

/** Something that operators should know. */
export function warn(message: string, facts: Record<string, unknown>): void {
  say({ kind: "log", level: "warn", message, facts });
}
