/**
 * Join: a one-time token becomes a member.
 *
 * Everything happens in one commit: the token is marked as used, the node gets
 * its number and its record, the register gets the member (and the group is
 * made, when the token allows). Of two nodes with one token, one wins.
 *
 * The answer may be lost on its way. So the same database may use its token
 * again until its first heartbeat, and gets a new credential for the same
 * number; any other database is refused.
 *
 * A node that has a database but no identity any more, or whose tracker's store
 * was lost, says which number its database has. It gets that number when nobody
 * has it, and a new credential when it is the member with that database.
 *
 * @module
 */

import {
  emptyRegister,
  type GroupName,
  type GroupRegister,
  GroupRegister as GroupRegisterSchema,
  type JoinBody,
  type JoinReply,
  keys,
  NODE_ID_MAX,
  type NodeId,
  type NodeRecord,
  NodeRecord as NodeRecordSchema,
  type NodeReport,
  Problem,
} from "@kedge/schema";
import { z } from "zod";
import type { Services } from "../services.ts";
import type { KvChange, KvEntry } from "../store/kv.ts";
import { parseEntry, uncertain } from "../store/parse.ts";
import { JoinToken } from "../store/records.ts";
import { apply } from "../store/registers.ts";
import { hashOf, newSecret } from "../store/secrets.ts";
import { heartbeatReply } from "./heartbeat_reply.ts";
import { saneHeartbeat } from "./sane_heartbeat.ts";

/** Group of a node when neither it nor its token names one. */
const DEFAULT_GROUP = "group1";

/** Attempts before it gives up; nodes seldom join at the same moment. */
const ATTEMPTS_MAX = 20;

/**
 * Make a node a member.
 *
 * @throws {Problem} `bad-token`, `group-not-found`, `already-exists`,
 * `register-refused`, `kv-unavailable`, `kv-uncertain`
 */
export async function join(
  services: Services,
  body: JoinBody,
): Promise<JoinReply> {
  const credential = newSecret();
  const sane = { ...body, heartbeat: saneHeartbeat(body.heartbeat) };
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const plan = await planJoin(services, sane, hashOf(credential));
    const outcome = await services.kv.commit(plan.change);
    if (outcome === "conflict") continue;
    const { node, group } = plan.record;
    if (outcome === "unknown" && !await isStored(services, plan.record)) {
      throw uncertain("the node was added; try again with the same token");
    }
    services.cache.drop();
    return {
      node,
      group,
      credential,
      reply: await heartbeatReply(services, plan.record),
    };
  }
  throw new Problem("kv-unavailable", "Too many nodes join at this moment");
}

interface JoinPlan {
  readonly record: NodeRecord;
  readonly change: KvChange;
}

async function planJoin(
  services: Services,
  body: JoinBody,
  credentialHash: string,
): Promise<JoinPlan> {
  const { kv, clock } = services;
  const tokenHash = hashOf(body.token);
  const entry = await kv.get(keys.token(tokenHash));
  const token = entry && parseEntry(entry, JoinToken).value;
  if (
    entry === undefined || token === undefined ||
    token.expiresMs <= clock.wallMs()
  ) throw new Problem("bad-token", "The token is not known, or it has ended");
  if (token.used !== null) {
    return await planRepeat(services, { body, credentialHash, token, entry });
  }
  const group = groupOf(token, body);
  if (body.node !== undefined) {
    const { node } = body;
    const given = { body, credentialHash, token, entry, group, node };
    const back = await planReturn(services, given);
    if (back !== undefined) return back;
  }
  const [next, register] = await Promise.all([
    nextNode(services),
    registerFor(services, group, token),
  ]);
  const node = body.node ?? next.node;
  const store = body.heartbeat.store;
  mustBeNew(register.value, store);
  const record: NodeRecord = {
    node,
    group,
    credentialHash,
    mode: "active",
    joinedMs: clock.wallMs(),
    joinToken: tokenHash,
  };
  return {
    record,
    change: {
      checks: [
        { key: entry.key, version: entry.version },
        { key: keys.nextNode(), version: next.version },
        { key: keys.group(group), version: register.version },
        { key: keys.node(node), version: null },
        { key: keys.removed(node), version: null },
      ],
      sets: [
        { key: entry.key, value: { ...token, used: { node, store } } },
        { key: keys.nextNode(), value: Math.max(next.node, node + 1) },
        {
          key: keys.group(group),
          value: apply(register.value, { kind: "add", node, store }),
        },
        { key: keys.node(node), value: record },
        reportSet(services, node, body),
      ],
    },
  };
}

/**
 * A member whose identity was lost: a new credential, same number. Its database
 * is the proof, beside the token.
 *
 * @returns `undefined` when nobody has the number.
 * @throws {Problem} `already-exists` when it is another's, or was removed.
 */
async function planReturn(
  services: Services,
  { body, credentialHash, token, entry, group, node }: {
    readonly body: JoinBody;
    readonly credentialHash: string;
    readonly token: JoinToken;
    readonly entry: KvEntry;
    readonly group: GroupName;
    readonly node: NodeId;
  },
): Promise<JoinPlan | undefined> {
  const { kv } = services;
  const { store } = body.heartbeat;
  const [stored, removed, known] = await Promise.all([
    kv.get(keys.node(node)),
    kv.get(keys.removed(node)),
    kv.get(keys.group(group)),
  ]);
  if (removed !== undefined) {
    throw new Problem(
      "already-exists",
      `Node ${node} was removed from its group; what it holds may be out of ` +
        "date, so it can join only as a new node with an empty data folder",
      { node },
    );
  }
  if (stored === undefined) return undefined;
  const { joinToken: _, ...old } = parseEntry(stored, NodeRecordSchema).value;
  const members = known === undefined
    ? []
    : parseEntry(known, GroupRegisterSchema).value.members;
  const isIt = old.group === group &&
    members.some((member) => member.node === node && member.store === store);
  if (!isIt) {
    throw new Problem(
      "already-exists",
      `The number ${node} belongs to a member with another database; remove ` +
        "that node first, or join with an empty data folder",
      { node },
    );
  }
  const record = { ...old, credentialHash, joinToken: hashOf(body.token) };
  return {
    record,
    change: {
      checks: [
        { key: entry.key, version: entry.version },
        { key: stored.key, version: stored.version },
      ],
      sets: [
        { key: entry.key, value: { ...token, used: { node, store } } },
        { key: stored.key, value: record },
        reportSet(services, node, body),
      ],
    },
  };
}

/** The answer of the first attempt was lost: a new credential, same number. */
async function planRepeat(
  services: Services,
  { body, credentialHash, token, entry }: {
    readonly body: JoinBody;
    readonly credentialHash: string;
    readonly token: JoinToken;
    readonly entry: KvEntry;
  },
): Promise<JoinPlan> {
  const used = new Problem("bad-token", "The token has been used");
  if (token.used?.store !== body.heartbeat.store) throw used;
  const { node } = token.used;
  const stored = await services.kv.get(keys.node(node));
  if (stored === undefined) throw used;
  const known = parseEntry(stored, NodeRecordSchema).value;
  if (known.joinToken !== hashOf(body.token)) throw used;
  const record = { ...known, credentialHash };
  return {
    record,
    change: {
      checks: [
        { key: entry.key, version: entry.version },
        { key: stored.key, version: stored.version },
      ],
      sets: [
        { key: stored.key, value: record },
        reportSet(services, node, body),
      ],
    },
  };
}

function groupOf(token: JoinToken, body: JoinBody): GroupName {
  const { group } = token;
  if (group !== null && body.group !== undefined && group !== body.group) {
    throw new Problem(
      "bad-token",
      `The token is for group "${group}", not for "${body.group}"`,
    );
  }
  return group ?? body.group ?? DEFAULT_GROUP;
}

async function nextNode({ kv }: Services) {
  const entry = await kv.get(keys.nextNode());
  if (entry === undefined) return { node: 1, version: null };
  const { value } = parseEntry(entry, z.int().min(1));
  if (value > NODE_ID_MAX) {
    throw new Problem("already-exists", "All node numbers have been used");
  }
  return { node: value, version: entry.version };
}

async function registerFor(
  { kv, cluster }: Services,
  group: GroupName,
  token: JoinToken,
): Promise<{ value: GroupRegister; version: string | null }> {
  const entry = await kv.get(keys.group(group));
  if (entry !== undefined) return parseEntry(entry, GroupRegisterSchema);
  if (token.createGroup) {
    return { value: emptyRegister(group, cluster.gen), version: null };
  }
  throw new Problem(
    "group-not-found",
    `There is no group "${group}", and the token may not make it: make it ` +
      `with \`kedge group create ${group}\`, or a token with --create-group`,
  );
}

function mustBeNew(register: GroupRegister, store: string): void {
  const known = register.members.find((member) => member.store === store);
  if (known === undefined) return;
  throw new Problem(
    "already-exists",
    `This database is node ${known.node} already; remove that node first`,
    { node: known.node },
  );
}

function reportSet({ clock }: Services, node: number, body: JoinBody) {
  const value: NodeReport = {
    heardMs: clock.wallMs(),
    heartbeat: body.heartbeat,
  };
  return { key: keys.report(node), value };
}

/** After an unknown outcome: is it this credential that is stored? */
async function isStored(
  { kv }: Services,
  { node, credentialHash }: NodeRecord,
): Promise<boolean> {
  const entry = await kv.get(keys.node(node));
  return entry !== undefined &&
    parseEntry(entry, NodeRecordSchema).value.credentialHash === credentialHash;
}
