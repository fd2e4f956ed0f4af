/**
 * From the environment to a running tracker: the only file, besides the two
 * entries, that reads files and opens anything.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import {
  parseTrackerConfig,
  type TrackerConfig,
} from "@kedge/schema/config/tracker";
import { createTracker, type Tracker } from "./app.ts";
import { openDenoKv } from "./store/deno_kv.ts";
import type { KvStore } from "./store/kv.ts";

/** Shortest admin key, in characters. */
const ADMIN_KEY_LENGTH_MIN = 32;

/** A tracker with what it holds open. */
export interface OpenTracker {
  /** Answers requests. */
  readonly tracker: Tracker;
  /** Its store, to close. */
  readonly kv: KvStore;
  /** Its settings. */
  readonly config: TrackerConfig;
}

/**
 * Open a tracker.
 *
 * @param env Environment variables.
 * @returns The tracker; close `kv` when done.
 * @throws {Problem} `invalid-request` naming every wrong setting, or
 * `kv-unavailable`. Never with a secret in its text.
 */
export async function openTracker(
  env: Readonly<Record<string, string | undefined>>,
): Promise<OpenTracker> {
  const parsed = parseTrackerConfig(env);
  if (!parsed.ok) {
    throw new Problem(
      "invalid-request",
      `The settings are not valid:\n- ${parsed.mistakes.join("\n- ")}`,
    );
  }
  const { config } = parsed;
  const adminKey = await readAdminKey(config.adminKeyFile);
  const kv = await openDenoKv(config.kv);
  try {
    const tracker = await createTracker({ kv, config, adminKey, log });
    return { tracker, kv, config };
  } catch (error) {
    kv.close();
    throw error;
  }
}

async function readAdminKey(
  path: string | undefined,
): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const text = await Deno.readTextFile(path).catch((error: unknown) => {
    throw new Problem(
      "invalid-request",
      `KEDGE_ADMIN_KEY_FILE: cannot read ${path}: ${
        error instanceof Error ? error.name : "unknown"
      }`,
    );
  });
  const key = text.trim();
  if (key.length >= ADMIN_KEY_LENGTH_MIN) return key;
  throw new Problem(
    "invalid-request",
    `KEDGE_ADMIN_KEY_FILE: the key in ${path} must have at least ` +
      `${ADMIN_KEY_LENGTH_MIN} characters`,
  );
}

const encoder = new TextEncoder();

/** A log that nobody takes (a closed pipe, a full disk) stops no request. */
function log(line: string): void {
  try {
    Deno.stderr.writeSync(encoder.encode(`${line}\n`));
  } catch {
    // There is nobody left to tell.
  }
}
