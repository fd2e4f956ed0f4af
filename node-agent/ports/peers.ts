/**
 * What `sync/` needs of the world: other agents and the trackers.
 *
 * @module
 */

import type {
  GroupRegister,
  Heartbeat,
  HeartbeatReply,
  PeerAddress,
  RegisterChange,
} from "@kedge/schema";

/** A connection to another agent: bytes both ways, in order. */
export interface ByteChannel {
  /** Who is at the other end, for the log. */
  readonly remote: string;
  /**
   * Read what has come, at least one byte.
   *
   * @returns How many bytes were put into `into`; `null` at the end.
   * @throws {Error} When the connection broke.
   */
  read(into: Uint8Array): Promise<number | null>;
  /** Write all of `bytes`; waits while the other side does not read. */
  write(bytes: Uint8Array): Promise<void>;
  /** End both directions at once. Never throws; may be called again. */
  close(): void;
}

/** A door for other agents. */
export interface PeerListener {
  /** Where it listens; the real port when port 0 was asked for. */
  readonly address: PeerAddress;
  /** Take no more connections. Those that exist go on. */
  close(): void;
}

/** How agents reach each other. TCP in `adapters/tcp_transport.ts`. */
export interface PeerTransport {
  /**
   * Connect to an agent.
   *
   * @throws {Error} When nobody answers within `timeoutMs`.
   */
  connect(address: PeerAddress, timeoutMs: number): Promise<ByteChannel>;
  /** Take connections of agents. Port 0 is any free one. */
  listen(
    address: PeerAddress,
    onChannel: (channel: ByteChannel) => void,
  ): PeerListener;
}

/** The answer to a change of the register. `unknown`: it may have happened. */
export type RegisterAnswer =
  | { readonly outcome: "changed"; readonly register: GroupRegister }
  | {
    readonly outcome: "refused";
    /** The register as it is, when the tracker said so. */
    readonly register: GroupRegister | undefined;
  }
  | { readonly outcome: "unknown"; readonly why: string };

/**
 * The trackers, as one node sees them. The adapter chooses which of them to
 * ask and how long to wait; every method throws an `Error` when none answered.
 */
export interface TrackerPort {
  /** Report, and learn the register, peers, keys, settings and mode. */
  heartbeat(report: Heartbeat): Promise<HeartbeatReply>;
  /** Read the register. */
  register(): Promise<GroupRegister>;
  /** Ask for a compare-and-set. Never throws: silence is `unknown`. */
  changeRegister(
    gen: string,
    epoch: number,
    change: RegisterChange,
  ): Promise<RegisterAnswer>;
}
