/**
 * DRBD 8.4's own decisions about changes of state, line by line.
 *
 * @module
 */

import {
  CONNECTION_STATES,
  DISK_STATES,
  type MirrorState,
  ROLES,
  sameState,
} from "../../node-agent/mirror/decisions/mirror_state.ts";
import { changeState } from "../../node-agent/mirror/decisions/state_core.ts";
import type { StateWarning } from "../../node-agent/mirror/decisions/state_sanitize_core.ts";
import { say } from "../helpers/say.ts";
import { isMissing, judgeSeries, oracleFolder } from "./vectors.ts";
import { z } from "zod";

const FOLDER = oracleFolder("drbd/decisions");

const Flag = z.union([z.literal(0), z.literal(1)]).transform((n) => n === 1);
const Conn = z.enum(CONNECTION_STATES);
const RoleName = z.enum(ROLES);
const Disk = z.enum(DISK_STATES);
const FORM = /^cs:(\w+) ro:(\w+)\/(\w+) ds:(\w+)\/(\w+) ([01]{6})$/;

/** `cs:… ro:…/… ds:…/… FLAGS`, flags as in the vectors' README. */
const State = z.string().regex(FORM).transform((text): MirrorState => {
  const [, conn, role, peerRole, disk, peerDisk, flags = ""] =
    FORM.exec(text) ?? [];
  const [user, noData, fencing, dependency, peer, paused] = [...flags].map(
    (digit) => digit === "1",
  );
  return {
    connection: Conn.parse(conn),
    role: RoleName.parse(role),
    peerRole: RoleName.parse(peerRole),
    disk: Disk.parse(disk),
    peerDisk: Disk.parse(peerDisk),
    suspendedByUser: user === true,
    suspendedNoData: noData === true,
    suspendedFencing: fencing === true,
    pausedByDependency: dependency === true,
    pausedByPeer: peer === true,
    pausedByUser: paused === true,
  };
});
const StateVector = z.object({
  old: State,
  want: State,
  new: State,
  hard: Flag,
  allowTwoPrimaries: Flag,
  fencing: z.enum(["dont-care", "resource-only", "resource-and-stonith"]),
  onNoData: z.enum(["io-error", "suspend-io"]),
  verifyAlg: Flag,
  open: Flag,
  stateSent: Flag,
  edUuidMatches: Flag,
  rv: z.number(),
  applied: Flag,
  warn: z.number(),
  clusterWide: Flag,
});
type StateVector = z.infer<typeof StateVector>;

/** Numbers of warnings; 0 is none. */
const WARNINGS: readonly (StateWarning | undefined)[] = [
  undefined,
  "verify-aborted",
  "resync-aborted",
  "connection-lost-while-negotiating",
  "disk-upgraded",
  "peer-disk-upgraded",
];

Deno.test({
  name: "changeState() answers every vector as DRBD 8.4 does",
  ignore: isMissing(FOLDER, "state"),
  async fn() {
    const count = await judgeSeries(FOLDER, "state", (value) => {
      const vector = StateVector.parse(value);
      const [ours, theirs] = [answerOf(vector), expected(vector)];
      return ours === theirs
        ? undefined
        : `ours ${ours}, DRBD's ${theirs}, of ${JSON.stringify(value)}`;
    });
    say(`state vectors: ${count} agree`);
  },
});

function answerOf(vector: StateVector): string {
  const answer = changeState(vector.old, vector.want, {
    options: {
      allowTwoPrimaries: vector.allowTwoPrimaries,
      fencing: vector.fencing,
      onNoData: vector.onNoData,
      hasVerifyAlg: vector.verifyAlg,
    },
    facts: {
      isOpen: vector.open,
      stateSent: vector.stateSent,
      resourcePeerRole: vector.old.peerRole,
      ...(vector.edUuidMatches
        ? { atAttach: { disk: "Consistent", peerDisk: "DUnknown" } }
        : {}),
    },
  }, { hard: vector.hard });
  return [
    `rv ${answer.refused ?? successCode(vector, answer.sane)}`,
    `applied ${answer.applied}`,
    `warn ${WARNINGS.indexOf(answer.warning)}`,
    `clusterWide ${answer.clusterWide}`,
    `new ${JSON.stringify(answer.sane)}`,
  ].join("; ");
}

/** 2 means "nothing to do", or a fact that leaves the connection as it was. */
function successCode({ old, hard }: StateVector, sane: MirrorState): 1 | 2 {
  if (sameState(old, sane)) return 2;
  return hard && old.connection === sane.connection ? 2 : 1;
}

function expected(vector: StateVector): string {
  return [
    `rv ${vector.rv}`,
    `applied ${vector.applied}`,
    `warn ${vector.warn}`,
    `clusterWide ${vector.clusterWide}`,
    `new ${JSON.stringify(vector.new)}`,
  ].join("; ");
}
