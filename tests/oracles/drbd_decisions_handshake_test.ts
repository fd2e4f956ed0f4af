/**
 * DRBD 8.4's own handshake decisions, line by line.
 *
 * @module
 */

import {
  formatGeneration,
  type GenerationSet,
} from "../../node-agent/mirror/decisions/generations_core.ts";
import {
  decideHandshake,
  type HandshakeOutcome,
  type HandshakeSide,
} from "../../node-agent/mirror/decisions/handshake_core.ts";
import { AS_DRBD_84 } from "../../node-agent/mirror/decisions/hardenings_core.ts";
import {
  DISK_STATES,
  ROLES,
} from "../../node-agent/mirror/decisions/mirror_state.ts";
import { VERDICT_CODES } from "../../node-agent/mirror/decisions/uuid_compare_core.ts";
import { say } from "../helpers/say.ts";
import { isMissing, judgeSeries, oracleFolder } from "./vectors.ts";
import { z } from "zod";

const FOLDER = oracleFolder("drbd/decisions");

const Flag = z.union([z.literal(0), z.literal(1)]).transform((n) => n === 1);
const Generation = z.string().regex(/^[0-9a-fA-F]{16}$/)
  .transform((hex) => BigInt(`0x${hex}`));
const Set = z.tuple([Generation, Generation, Generation, Generation]).transform(
  ([current, bitmap, newer, older]): GenerationSet => ({
    current,
    bitmap,
    history: [newer, older],
  }),
);
const Flags = z.object({ discardMyData: Flag, crashedPrimary: Flag });
const ZERO_PRIMARIES = [
  "disconnect",
  "discard-younger-primary",
  "discard-older-primary",
  "discard-zero-changes",
  "discard-least-changes",
  "discard-local",
  "discard-remote",
] as const;
const ONE_PRIMARY = [
  "disconnect",
  "consensus",
  "discard-secondary",
  "violently-as0p",
  "call-pri-lost-after-sb",
] as const;
const TWO_PRIMARIES = [
  "disconnect",
  "violently-as0p",
  "call-pri-lost-after-sb",
] as const;

/** A policy at the wrong place decides nothing ("Configuration error"). */
function policy<Name extends string>(fitting: readonly Name[]) {
  const known = z.enum([...ZERO_PRIMARIES, ...ONE_PRIMARY]);
  return known.transform((name): Name | "disconnect" =>
    fitting.find((each) => each === name) ?? "disconnect"
  );
}

const HandshakeVector = z.object({
  self: Set,
  peer: Set,
  selfBits: z.number(),
  peerBits: z.number(),
  selfFlags: Flags,
  peerFlags: Flags,
  role: z.enum(ROLES),
  peerRole: z.enum(ROLES),
  disk: z.enum(DISK_STATES),
  peerDisk: z.enum(DISK_STATES),
  resolveConflicts: Flag,
  demoteWouldSucceed: Flag,
  net: z.object({
    "after-sb-0pri": policy(ZERO_PRIMARIES),
    "after-sb-1pri": policy(ONE_PRIMARY),
    "after-sb-2pri": policy(TWO_PRIMARIES),
    "always-asbp": Flag,
    "rr-conflict": z.enum(["disconnect", "call-pri-lost", "violently"]),
  }),
  compare: z.number(),
  rule: z.number(),
  result: z.enum(["WFBitMapS", "WFBitMapT", "Connected", "drop"]),
  setWholeBitmap: Flag,
  helpers: z.string(),
  demoted: Flag,
  selfAfter: Set,
  peerAfter: Set,
});
type HandshakeVector = z.infer<typeof HandshakeVector>;

Deno.test({
  name: "decideHandshake() answers every vector as DRBD 8.4 does",
  ignore: isMissing(FOLDER, "handshake"),
  async fn() {
    const count = await judgeSeries(FOLDER, "handshake", (value) => {
      const vector = HandshakeVector.parse(value);
      const [ours, theirs] = [answerOf(decide(vector)), expected(vector)];
      return ours === theirs ? undefined : `ours ${ours}, DRBD's ${theirs}`;
    });
    say(`handshake vectors: ${count} agree`);
  },
});

function decide(vector: HandshakeVector): HandshakeOutcome {
  const self: HandshakeSide = {
    generations: vector.self,
    outOfSyncBlocks: vector.selfBits,
    role: vector.role,
    disk: vector.disk,
    ...vector.selfFlags,
  };
  const peer: HandshakeSide = {
    generations: vector.peer,
    outOfSyncBlocks: vector.peerBits,
    role: vector.peerRole,
    disk: vector.peerDisk,
    ...vector.peerFlags,
  };
  return decideHandshake(self, peer, {
    resolveConflicts: vector.resolveConflicts,
    couldDemote: vector.demoteWouldSucceed,
    policies: {
      afterSb0pri: vector.net["after-sb-0pri"],
      afterSb1pri: vector.net["after-sb-1pri"],
      afterSb2pri: vector.net["after-sb-2pri"],
      alwaysAsbp: vector.net["always-asbp"],
      rrConflict: vector.net["rr-conflict"],
    },
    hardenings: AS_DRBD_84,
  });
}

function answerOf(outcome: HandshakeOutcome): string {
  const { comparison } = outcome;
  return [
    `compare ${VERDICT_CODES[comparison.verdict]} rule ${comparison.rule}`,
    `${outcome.next} whole ${outcome.setWholeBitmap}`,
    `helpers [${outcome.handlers}] demoted ${outcome.demote}`,
    `self ${formatSet(comparison.self)} peer ${formatSet(comparison.peer)}`,
  ].join("; ");
}

function expected(vector: HandshakeVector): string {
  return [
    `compare ${vector.compare} rule ${vector.rule}`,
    `${vector.result} whole ${vector.setWholeBitmap}`,
    `helpers [${vector.helpers}] demoted ${vector.demoted}`,
    `self ${formatSet(vector.selfAfter)} peer ${formatSet(vector.peerAfter)}`,
  ].join("; ");
}

function formatSet(set: GenerationSet): string {
  return [set.current, set.bitmap, ...set.history].map(formatGeneration)
    .join(":");
}
