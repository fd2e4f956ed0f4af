/**
 * What the answers of the members say about a file that is missing or damaged
 * here: `404` is a proof, not a guess (promises.md F3).
 *
 * | what was answered                                        | verdict       |
 * | -------------------------------------------------------- | ------------- |
 * | anybody has a tombstone                                  | `tombstone`   |
 * | somebody has it, and a node that may serve no tombstone  | `found`       |
 * | somebody has it, but no node that may serve was asked    | `unavailable` |
 * | every other member answered "never had it"               | `absent`      |
 * | there is no other, and we may serve                      | `absent`      |
 * | otherwise                                                | `unavailable` |
 *
 * A node in sync holds every acknowledged delete, so its word (or our own) is
 * enough to know that a file was not deleted, while its read lease lasts. It is *not*
 * enough for "never had it": an upload at level A may be on its origin alone.
 *
 * @module
 */

import { compareEntries, type FileEntry } from "@kedge/schema/change";
import { type GroupRegister, isInSync, type NodeId } from "@kedge/schema";

/** What one member says about one file. */
export type MemberAnswer =
  /**
   * Its index has this; whether the bytes are good shows when they come.
   * `serves`: it may serve reads itself now (`lease_core.ts` says `serve`), so
   * it would know of an acknowledged delete.
   */
  | {
    readonly kind: "has";
    readonly entry: FileEntry;
    readonly serves: boolean;
  }
  /** Its index is whole (`ReplicaCore.isWhole()`) and has nothing. */
  | { readonly kind: "never"; readonly serves: boolean }
  /**
   * No answer, or "not here" from a node that is not in sync: its index may be
   * the lesser part of what it once held.
   */
  | { readonly kind: "silent" };

/** What is to be believed. */
export type FetchVerdict =
  | { readonly kind: "tombstone"; readonly entry: FileEntry }
  /** Take the bytes from one of these; none when only we have this state. */
  | {
    readonly kind: "found";
    readonly entry: FileEntry;
    readonly from: readonly NodeId[];
  }
  | { readonly kind: "absent" }
  | { readonly kind: "unavailable"; readonly why: string };

/** The rules of this decision, for the mutation test. */
export interface FetchRules {
  /** "Never had it" needs the word of every member. */
  readonly askEverybody: boolean;
  /** A file is served only if a node in sync knows no tombstone. */
  readonly askAuthority: boolean;
}

/** All rules on. */
export const FETCH_RULES: FetchRules = {
  askEverybody: true,
  askAuthority: true,
};

/** What a decision is made from. */
export interface FetchView {
  readonly register: GroupRegister;
  /** We. */
  readonly node: NodeId;
  /** We may serve reads ourselves: our word counts too. */
  readonly weKnow: boolean;
  /** What our own index has. */
  readonly ours: FileEntry | undefined;
  /** What the other members answered; missing is silent. */
  readonly answers: ReadonlyMap<NodeId, MemberAnswer>;
  readonly rules?: FetchRules;
}

/** Members to ask about a file, the likely holders first. */
export function fetchOrder(
  register: GroupRegister,
  node: NodeId,
  origin: NodeId,
): NodeId[] {
  const rank = (member: NodeId) =>
    member === origin ? 0 : isInSync(register, member) ? 1 : 2;
  return register.members.map((member) => member.node)
    .filter((member) => member !== node)
    .toSorted((a, b) => rank(a) - rank(b) || a - b);
}

/** Decide; see the table above. Call again as more answers come. */
export function decideFetch(view: FetchView): FetchVerdict {
  const { register, node, answers } = view;
  const rules = view.rules ?? FETCH_RULES;
  const others = register.members.map((member) => member.node)
    .filter((member) => member !== node);
  const entries = others.flatMap((member) => {
    const answer = answers.get(member);
    return answer?.kind === "has" ? [{ member, entry: answer.entry }] : [];
  }).toSorted((a, b) => compareEntries(b.entry, a.entry));
  const best = newest(view.ours, entries[0]?.entry);

  if (best?.state === "tombstone") return { kind: "tombstone", entry: best };
  if (best !== undefined) {
    const from = entries.filter((one) => compareEntries(one.entry, best) === 0)
      .map((one) => one.member);
    const authority = view.weKnow || !rules.askAuthority ||
      others.some((member) => serves(answers.get(member)));
    if (!authority) return unavailable("no node in sync could be asked");
    return { kind: "found", entry: best, from };
  }
  const silent = others.filter((member) => !spoke(answers.get(member)));
  if (silent.length > 0 && (rules.askEverybody || silent.length > 1)) {
    return unavailable(`could not ask ${silent.join(", ")}`);
  }
  if (others.length === 0 && !view.weKnow) {
    return unavailable("this node has lost its database, and is alone");
  }
  return { kind: "absent" };
}

function spoke(answer: MemberAnswer | undefined): boolean {
  return answer !== undefined && answer.kind !== "silent";
}

function serves(answer: MemberAnswer | undefined): boolean {
  return answer !== undefined && answer.kind !== "silent" && answer.serves;
}

function newest(
  a: FileEntry | undefined,
  b: FileEntry | undefined,
): FileEntry | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareEntries(a, b) >= 0 ? a : b;
}

function unavailable(why: string): FetchVerdict {
  return { kind: "unavailable", why };
}
