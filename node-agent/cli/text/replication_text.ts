/**
 * How replication goes on a node, as people read it. Pure.
 *
 * @module
 */

import type { NodeView, ReplicationReport } from "@kedge/schema";
import { plainText } from "./table.ts";
import { countText, durationText, rateText, sizeText } from "./units.ts";

/** What is under way, and what is in the way; nothing at quiet. */
export function replicationLines(view: NodeView): string[] {
  const { node, report } = view;
  const facts = report?.replication;
  const lines = [
    ...differsLines(view),
    ...lagLines(view, facts?.appliedPerS ?? 0),
  ];
  if (facts === undefined) return lines;
  const { catchUp, tombstones, peers } = facts;
  if (catchUp !== null) lines.push(`node ${node}: ${catchUpText(catchUp)}`);
  for (const peer of peers) {
    if (peer.lagChanges === null || peer.lagChanges === 0) continue;
    const changes = countText(peer.lagChanges, "change");
    lines.push(
      `node ${node}: sends ${changes} to node ${peer.node}, ` +
        `${sizeText(peer.underWayBytes)} under way`,
    );
  }
  if (tombstones.blocked !== null && tombstones.count > 0) {
    const files = countText(tombstones.count, "deleted file");
    const why = plainText(tombstones.blocked);
    lines.push(`node ${node}: remembers ${files}: ${why}`);
  }
  return lines;
}

/** How far a comparison is. */
export function catchUpText(
  catchUp: NonNullable<ReplicationReport["catchUp"]>,
): string {
  const { donor, bucketsDone, bucketsTotal, takenFiles, takenBytes } = catchUp;
  const share = bucketsTotal === 0
    ? 100
    : Math.floor(100 * bucketsDone / bucketsTotal);
  const eta = catchUp.etaS === null
    ? ""
    : `, ETA ${durationText(catchUp.etaS * 1000)}`;
  return `compares with node ${donor}: ${share} % of the differences, ` +
    `${countText(takenFiles, "file")} (${sizeText(takenBytes)}) taken, ` +
    `${rateText(catchUp.bytesPerS)}${eta}`;
}

function differsLines({ node, agreement }: NodeView): string[] {
  if (agreement !== "differs") return [];
  return [
    `node ${node}: its files differ from those of other members`,
    "    members compare by themselves every 10 minutes; if it stays, " +
    `kedge scrub ${node}`,
  ];
}

function lagLines(view: NodeView, perS: number): string[] {
  const { node, lagChanges, lagEtaS } = view;
  if (lagChanges === 0) return [];
  const eta = lagEtaS === null ? "" : `, ETA ${durationText(lagEtaS * 1000)}`;
  return [
    `node ${node}: ${countText(lagChanges, "change")} behind, ${perS}/s${eta}`,
  ];
}
