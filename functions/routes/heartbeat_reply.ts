/**
 * What a node is told after each report.
 *
 * @module
 */

import type { HeartbeatReply, NodeId } from "@kedge/schema";
import { keysInUse } from "../domain/signing.ts";
import type { Services } from "../services.ts";
import { parseSigningKeys, rotateSigningKeys } from "../store/signing_keys.ts";
import { keys } from "@kedge/schema";

/**
 * Put the reply together. The register and the keys are read fresh: an older
 * register than the last one told would look like a KV that was restored.
 *
 * @throws {Problem} `node-not-found`, `group-not-found`, `kv-unavailable`
 */
export async function heartbeatReply(
  services: Services,
  node: NodeId,
): Promise<HeartbeatReply> {
  const { nodes, registers, cache, config } = services;
  const { value: record } = await nodes.get(node);
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
      peer === node || report === undefined || !isMember.has(peer) ? [] : [{
        node: peer,
        peerAddress: report.peerAddress,
        url: report.url,
      }]
    ),
    signingKeys,
    mode: record.mode,
    nextMs: config.heartbeatMs,
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
