/**
 * What simulated agents say to each other: the same things as the real ones, as
 * objects.
 *
 * @module
 */

import type { FileEntry } from "@kedge/schema/change";
import type { GroupRegister } from "@kedge/schema";
import type { LogPlace } from "../../node-agent/ports.ts";
import type { LogReport } from "../../node-agent/sync/tombstone_core.ts";
import type { Content, SimRecord } from "./sim_store.ts";

/** Positions by incarnation, as pairs. */
export type Held = readonly { incarnation: number; sequence: number }[];

/** A state with its content. */
export interface FullState {
  readonly entry: FileEntry;
  readonly content: Content | undefined;
}

/** A question over a link. */
export type Question =
  | { readonly kind: "file"; readonly id: string }
  | { readonly kind: "listing"; readonly epoch: number }
  | { readonly kind: "give"; readonly states: readonly FullState[] }
  | { readonly kind: "ping"; readonly epoch: number }
  | { readonly kind: "report" };

/** Its answer. */
export type Reply =
  | {
    readonly kind: "has";
    readonly state: FullState;
    readonly serves: boolean;
  }
  | { readonly kind: "never"; readonly serves: boolean }
  | { readonly kind: "silent" }
  | { readonly kind: "listing"; readonly states: readonly FullState[] }
  | { readonly kind: "done" }
  | { readonly kind: "pong"; readonly epoch: number }
  | { readonly kind: "report"; readonly report: LogReport };

/** A message of a link. */
export type Message =
  | {
    readonly kind: "hello";
    readonly store: string;
    readonly held: Held;
    readonly durable: Held;
    /** Where the sender's log begins. */
    readonly cut: LogPlace | undefined;
  }
  | { readonly kind: "register"; readonly register: GroupRegister }
  | {
    readonly kind: "batch";
    readonly epoch: number;
    readonly incarnation: number;
    readonly first: number;
    readonly records: readonly SimRecord[];
  }
  | { readonly kind: "ack"; readonly held: Held; readonly durable: Held }
  | { readonly kind: "reject"; readonly epoch: number }
  | { readonly kind: "join"; readonly epoch: number }
  | { readonly kind: "promise"; readonly epoch: number }
  | {
    readonly kind: "ask";
    readonly number: number;
    readonly question: Question;
  }
  | { readonly kind: "reply"; readonly number: number; readonly reply: Reply };
