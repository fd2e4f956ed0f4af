/**
 * What a node is told after each report.
 *
 * @module
 */

import { type HeartbeatReply, keys, type NodeRecord } from "@kedge/schema";
import { pairKey } from "../domain/pair_key.ts";
import { keysInUse } from "../domain/signing.ts";
import type { Services } from "../services.ts";
import { parseSigningKeys, rotateSigningKeys } from "../store/signing_keys.ts";

/**
 * Put the reply together. The register and the keys are read fresh: an older
 * register than the last one told would look like a KV that was restored.
 *
 * @param record The node as it is now.
 * @throws {Problem} `group-not-found`, `kv-unavailable`
 */
export async function heartbeatReply(
  services: Services,
  record: NodeRecord,
): Promise<HeartbeatReply> {
  const { nodes, registers, cache, config } = services;
  const [register, settings, signingKeys, view] = await Promise.all([
    registers.get(record.group),
    nodes.settingsOf(record.group),
    currentKeys(services),
    cache.current(),
  ]);
  const heard = view.groups.get(record.group)?.members ?? [];
  const isMember = new Set(register.value.members.map((member) => member.node));
  return {
    register: register.value,
    settings,
    peers: heard.flatMap(({ node: peer, report }) =>
      peer === record.node || report === undefined || !isMember.has(peer)
        ? []
        : [{
          node: peer,
          peerAddress: report.peerAddress,
          url: report.url,
        }]
    ),
    signingKeys,
    peerKeys: register.value.members
      .filter(({ node }) => node !== record.node)
      .map(({ node }) => ({
        node,
        key: pairKey(services.cluster.clusterSecret, record.node, node),
      })),
    mode: record.mode,
    nextMs: config.heartbeatMs,
    clockMs: Math.round(services.clock.wallMs()),
  };
}

/** Keys that verify now; the newest is replaced when it is too old. */
async function currentKeys({ kv, clock, config, cache }: Services) {
  const nowMs = clock.wallMs();
  const stored = parseSigningKeys(await kv.get(keys.signingKeys()));
  const isDue = (known: typeof stored) =>
    known[0] === undefined ||
    nowMs - known[0].createdMs > config.signingKeyLifeMs;
  if (!isDue(stored)) return keysInUse(stored, nowMs);
  const rotated = await rotateSigningKeys(kv, nowMs, isDue);
  cache.drop();
  return keysInUse(rotated, nowMs);
}
