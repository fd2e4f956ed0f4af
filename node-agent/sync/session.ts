/**
 * What `Sessions` keeps of a connection, and what it works with.
 *
 * @module
 */

import type { GroupName, NodeId } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import type { Frame } from "@kedge/schema/wire/frame";
import type { RecordsBody, WireRecord } from "@kedge/schema/wire/records";
import type { ChangeLog, ContentSource, Log, LogPlace } from "../ports.ts";
import type { LogSender } from "./log_sender.ts";
import type { ControlLink } from "./peer_links.ts";
import type { RecentRecords } from "./recent_records.ts";
import type { LinkRef, ReplicaInput } from "./replica_messages.ts";

/** A standing control connection. */
export interface Session {
  readonly control: ControlLink;
  /** Epoch of the register that the peer was told last. */
  toldEpoch: number;
  /** Where its log begins, as it told. */
  readonly cut: LogPlace | undefined;
  sender: LogSender | undefined;
  isAckDue: boolean;
}

/** A batch that the core has to judge. */
export interface PushedBatch {
  readonly session: Session;
  readonly body: RecordsBody;
  readonly durable: boolean;
  readonly bytes: number;
  /** Its bytes lie here; nobody else's do. */
  readonly memory: ArrayBuffer;
}

/** What {@linkcode Sessions} works with. */
export interface SessionsOptions {
  readonly group: GroupName;
  readonly log: ChangeLog;
  readonly recent: RecentRecords;
  readonly logger: Log;
  /** Tell the core. */
  input(input: ReplicaInput): void;
  /** Get the bytes of a record ready; may ask the peer for them. */
  content(peer: NodeId, record: WireRecord): Promise<ContentSource>;
  /** Get the bytes of states that were stored without, from the peer. */
  missing(peer: NodeId, entries: readonly FileEntry[]): Promise<void>;
  /** Wait until so much catching up may go to this peer. */
  pace(peer: NodeId, bytes: number, files: number): Promise<void>;
  /** A report or a request for one came; returns what is wrong with it. */
  onReport(peer: NodeId, frame: Frame): string | undefined;
  /** Nobody uses the memory of a frame any more. */
  free(memory: ArrayBuffer): void;
  /** The store refused what a peer sent. */
  storeFailed(peer: NodeId, why: string): void;
}

/** How the core names this connection. */
export function refOf({ control }: Session): LinkRef {
  return { peer: control.peer, session: control.session };
}
