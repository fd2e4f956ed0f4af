/**
 * Which change of the register a node should ask for now, if any. The rules in
 * the order in which they apply:
 *
 * | # | situation                                        | change                     |
 * | - | ------------------------------------------------ | -------------------------- |
 * | 1 | the register names another database for us       | `reset` us                 |
 * | 2 | we cannot store any more, another is in sync     | `reset` us                 |
| 2 | files are gone with a disk, another is in sync   | `reset` us, stay out       |
 * | 3 | we may have lost records, another is in sync     | `reset` us, then join      |
 * | 4 | we may have lost records, nobody else is in sync | `renew`, after asking      |
 * | 5 | a peer in sync keeps an answer waiting           | `shrink` it                |
 * | 6 | a peer that we promised to wait for does so      | `renew`: promises are void |
 *
 * In 2 and 3 the other one must be connected with the database that the register
 * names: leaving the set to a node that is dead or was wiped would leave nobody.
 *
 * @module
 */

import {
  type GroupRegister,
  isInSync,
  type NodeId,
  type RegisterChange,
} from "@kedge/schema";
import type { Peer } from "./peer_core.ts";
import type { SafetyRules } from "./rules_core.ts";

/** That this node may have lost records of its own log or of others. */
export type Suspicion = {
  /** The last one in sync asks the other members until this time. */
  readonly untilMs: number | undefined;
} | undefined;

/** What the decision depends on. */
export interface WantView {
  readonly register: GroupRegister;
  readonly node: NodeId;
  readonly store: string;
  readonly suspicion: Suspicion;
  readonly cannotStore: boolean;
  /** Files are gone with their disk; our index and our log are whole. */
  readonly filesLost: boolean;
  /** Another member in sync is connected, with its own database. */
  readonly another: boolean;
  /** The required peer that keeps an answer waiting. */
  readonly late: Peer | undefined;
  readonly nowMs: number;
  readonly rules: SafetyRules;
}

/** Decide; see the table above. */
export function wantedChange(view: WantView): RegisterChange | undefined {
  const { register, node, store, late } = view;
  const me = register.members.find((member) => member.node === node);
  if (me === undefined) return undefined;
  const reset: RegisterChange = { kind: "reset", node, store };
  const inSync = isInSync(register, node);
  const isLast = inSync && register.insync.length === 1;
  if (view.rules.checkStores && me.store !== store) return reset;
  if (!inSync) return undefined;
  if (view.cannotStore) return view.another ? reset : undefined;
  // Without another we go on: other disks of ours may still take files.
  if (view.filesLost && view.another) return reset;
  if (view.suspicion !== undefined) {
    if (!isLast) return view.another ? reset : undefined;
    const untilMs = view.suspicion.untilMs;
    const hasAsked = untilMs !== undefined && view.nowMs >= untilMs;
    return hasAsked ? { kind: "renew", by: node } : undefined;
  }
  if (late === undefined) return undefined;
  return isInSync(register, late.node)
    ? { kind: "shrink", node: late.node, by: node }
    : { kind: "renew", by: node };
}
