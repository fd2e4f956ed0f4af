/**
 * What the HTTP door needs from the rest of the agent, and its limits.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import type { MigrationRequest } from "@kedge/schema/migration";
import type { Clock, LocalFiles, Log, Replicator } from "../ports.ts";
import type { LinkRules } from "./read/link_gate.ts";

/** What operators ask of an agent; everything they get is JSON. */
export interface AgentAdmin {
  /** Public facts: version, group, in sync or not. No secret, no path. */
  status(): unknown | Promise<unknown>;
  /** Start a scrub, or tell of the one that runs. */
  startScrub(): unknown | Promise<unknown>;
  /** How far the scrub is. */
  scrubProgress(): unknown | Promise<unknown>;
  /** A store path was mended or replaced: try it, and take bytes again. */
  openPath(pathIndex: number): unknown | Promise<unknown>;
  /** The operator accepts the KV store's new generation. */
  confirm(): unknown | Promise<unknown>;
  /** Imports and exports. */
  readonly migration: MigrationAdmin;
}

/** Imports and exports of a node: one at a time. */
export interface MigrationAdmin {
  /** @throws {Problem} `already-exists` while one runs, `invalid-request`. */
  start(request: MigrationRequest): unknown | Promise<unknown>;
  /** How far it is, with the problems from this number on; `null` is none. */
  view(offset: number): unknown;
  /** Stop it; what was done stays. */
  stop(): unknown | Promise<unknown>;
}

/** Limits of the door. Every one of them has a default. */
export interface HttpLimits {
  /** Bodies that may arrive at the same time; one more is refused. */
  readonly bodiesMax: number;
  /** How long a client's bytes may be waited for before its rate counts, in ms. */
  readonly bodyWindowMs: number;
  /**
   * Slowest body, in bytes per second of waiting for the client; and of waiting
   * for a peer whose file is handed on.
   */
  readonly bodyBytesPerSecondMin: number;
  /** Changes of one file that may wait for each other. */
  readonly lockWaitersMax: number;
  /** Files that may be looked for in the group at the same time. */
  readonly fetchesMax: number;
  /** How long a peer that was asked for a client may be silent, in ms. */
  readonly peerSilentMs: number;
}

/** Everything that {@linkcode createAgentApp} takes. */
export interface AgentHttpDeps {
  /** Which node this is. */
  readonly node: NodeId;
  /** Its group. */
  readonly group: string;
  /** Base URL under which clients reach this agent, without a slash at the end. */
  readonly url: () => string;
  /** The files here. */
  readonly files: LocalFiles;
  /** The group. */
  readonly replicator: Replicator;
  /** Time. */
  readonly clock: Clock;
  /** Where failures of Kedge itself are told. */
  readonly log: Log;
  /** What operators ask. */
  readonly admin: AgentAdmin;
  /** Ask another agent's HTTP door, for clients that cannot be sent on. */
  readonly fetchPeer?:
    | ((url: string, init: RequestInit) => Promise<Response>)
    | undefined;
  /** Links that downloads need, and proxies in front; none when missing. */
  readonly links?: LinkRules | undefined;
  /** Other limits than the defaults. */
  readonly limits?: Partial<HttpLimits> | undefined;
}

/**
 * The defaults. 2,000 bodies: twice the connections that the memory target of
 * an agent is given for. 1 KiB/s over 15 s: slower than any link worth serving,
 * fast enough that 2,000 slow clients cost an attacker 16 Mbit/s. A silent peer is
 * given up before FastDFS's clients, which wait 30 s, give us up.
 */
export const HTTP_LIMITS: HttpLimits = {
  bodiesMax: 2000,
  bodyWindowMs: 15_000,
  bodyBytesPerSecondMin: 1024,
  lockWaitersMax: 256,
  fetchesMax: 256,
  peerSilentMs: 20_000,
};

/** The limits of one door. */
export function limitsOf(deps: AgentHttpDeps): HttpLimits {
  return { ...HTTP_LIMITS, ...deps.limits };
}
