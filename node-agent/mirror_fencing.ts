/**
 * Brings the registers of mirrored volumes into a mirror daemon: who this host
 * is, a join when it is nobody yet, and the trackers to ask.
 *
 * @module
 */

import { JoinMirrorReply } from "@kedge/schema/volume";
import {
  openMirrorIdentity,
  saveMirrorIdentity,
} from "./adapters/mirror_identity.ts";
import { Trackers } from "./adapters/tracker_client.ts";
import { TrackerVolumeRegisters } from "./adapters/volume_registers.ts";
import type { Log } from "./ports.ts";

/** Longest wait for one tracker, in ms. Source: promises.md §6.3. */
const TIMEOUT_MS = 1_000;
/** Longest wait for the answer to a join, in ms. */
const JOIN_TIMEOUT_MS = 10_000;

/** What a daemon is told about fencing. */
export interface FencingOptions {
  /** Base URLs of trackers; at least one. */
  readonly trackers: readonly string[];
  /** Folder of this host's identity. It must outlive restarts. */
  readonly folder: string;
  /** The host's name, for people. */
  readonly name: string;
  /** File with a one-time token; needed once. */
  readonly tokenFile?: string | undefined;
  /** Whether Secondaries take over by themselves; `off` when missing. */
  readonly autoPromote?: "off" | "on" | "lossy" | undefined;
  /** File with more certificate authorities to trust, PEM. */
  readonly caFile?: string | undefined;
}

/** Registers, and how to let go of them. */
export interface Fencing {
  readonly registers: TrackerVolumeRegisters;
  close(): void;
}

/**
 * Read who this host is, or join.
 *
 * @throws {Error} When it has no identity and no token, or the tracker refuses.
 */
export async function openFencing(
  options: FencingOptions,
  log: Log,
): Promise<Fencing> {
  const { trackers: urls, name, folder } = options;
  const caCerts = options.caFile === undefined
    ? []
    : [await Deno.readTextFile(options.caFile)];
  const { node, credential } = await admitted(options, caCerts, log);
  const trackers = new Trackers(urls, {
    authorization: `Kedge-Node ${node}:${credential}`,
    timeoutMs: TIMEOUT_MS,
    caCerts,
  });
  log.info(`Roles are decided by the trackers; this host is node ${node}`, {
    folder,
  });
  const identity = { node, name };
  return {
    registers: new TrackerVolumeRegisters({ identity, trackers, log }),
    close: () => trackers.close(),
  };
}

async function admitted(
  options: FencingOptions,
  caCerts: readonly string[],
  log: Log,
): Promise<JoinMirrorReply> {
  const { folder, name, tokenFile } = options;
  const { host, identity } = await openMirrorIdentity(folder);
  if (identity !== undefined) return identity;
  if (tokenFile === undefined) {
    throw new Error(
      `Cannot ask the trackers: "${folder}" holds no identity and no token was ` +
        "given. Make one with `kedge token create` and pass it with --token-file",
    );
  }
  const text = await Deno.readTextFile(tokenFile).catch((error) => {
    throw new Error(`Cannot read the token file "${tokenFile}": ${error.name}`);
  });
  const token = text.trim();
  const timeoutMs = JOIN_TIMEOUT_MS;
  const trackers = new Trackers(options.trackers, { timeoutMs, caCerts });
  try {
    const body = { token, host, name };
    const joined = await trackers.ask(
      { method: "POST", path: "/v1/mirrors/join", body },
      JoinMirrorReply,
    );
    await saveMirrorIdentity(folder, { host, identity: joined });
    log.info(`Joined as node ${joined.node}`);
    return joined;
  } finally {
    trackers.close();
  }
}
