/**
 * Makes sure that this agent is a member before anything else starts.
 *
 * @module
 */

import type { HeartbeatReply } from "@kedge/schema";
import type { AgentConfig } from "@kedge/schema/config/agent";
import { urlOf } from "@kedge/schema/config/units";
import { type Identity, IdentityStore } from "./adapters/identity.ts";
import { joinCluster } from "./adapters/tracker_client.ts";
import { type DatabaseOwner, databaseOwner } from "./files/owner.ts";
import { VERSION } from "./version.ts";

/** Who this agent is, and how it came to be. */
export interface Admission {
  readonly identity: Identity;
  /** ID for a database that has to be made. */
  readonly newStore: string;
  /** Answer to the join, when it happened now. */
  readonly firstReply: HeartbeatReply | undefined;
  /** More certificate authorities to trust, PEM. */
  readonly caCerts: readonly string[];
}

/**
 * Read who this agent is, or join with the token of the settings.
 *
 * @param config Complete settings.
 * @throws {Error} When it has no identity and no token, or the tracker refuses.
 */
export async function admit(config: AgentConfig): Promise<Admission> {
  const store = new IdentityStore(config.dataDir);
  const { firstStore, identity } = await store.open();
  const caCerts = config.caFile === undefined
    ? []
    : [await Deno.readTextFile(config.caFile)];
  if (identity !== undefined) {
    // A database that is missing now was lost: another one is another store.
    const newStore = crypto.randomUUID();
    return { identity, newStore, firstReply: undefined, caCerts };
  }
  // Its files are worth more than a fresh start: it comes back as who it was.
  const owner = databaseOwner(config.dataDir);
  const newStore = owner?.store ?? firstStore;
  const group = groupFor(config, owner);
  const joined = await joinCluster(
    config.trackers,
    {
      token: await tokenOf(config),
      ...(group === undefined ? {} : { group }),
      ...(owner === undefined ? {} : { node: owner.node }),
      heartbeat: firstHeartbeat(config, newStore),
    },
    caCerts,
  );
  const { reply: firstReply, ...fresh } = joined;
  if (owner !== undefined && fresh.node !== owner.node) {
    throw new Error(
      `Cannot go on as node ${fresh.node}: the database in ` +
        `"${config.dataDir}" is node ${owner.node}'s. Remove node ` +
        `${fresh.node} and update the tracker, which did not understand`,
    );
  }
  await store.save(newStore, fresh);
  return { identity: fresh, newStore, firstReply, caCerts };
}

/** @throws {Error} When settings and database name different groups. */
function groupFor(
  config: AgentConfig,
  owner: DatabaseOwner | undefined,
): string | undefined {
  if (owner === undefined) return config.group;
  if (config.group === undefined || config.group === owner.group) {
    return owner.group;
  }
  throw new Error(
    `Cannot join group "${config.group}": the database in "${config.dataDir}" ` +
      `belongs to node ${owner.node} of "${owner.group}". Join that group, or ` +
      "give this agent an empty folder with --data",
  );
}

async function tokenOf(config: AgentConfig): Promise<string> {
  if (config.joinToken !== undefined) return config.joinToken;
  if (config.tokenFile !== undefined) {
    return (await Deno.readTextFile(config.tokenFile)).trim();
  }
  throw new Error(
    `Cannot join: "${config.dataDir}" holds no identity and no token was ` +
      "given. Make one with `kedge token create` and pass it with --token-file",
  );
}

/** Enough for a join; the first real report follows at once. */
function firstHeartbeat(config: AgentConfig, store: string) {
  const { hostname, port } = config.peerAdvertise ?? config.peerListen;
  const listen = { ...config.listen, port: config.listen.port || 1 };
  return {
    store,
    url: config.advertise ?? urlOf(listen, config.tls !== undefined),
    peerAddress: { hostname, port: port || 1 },
    storePaths: [],
    // The tracker gives the number; it replaces this one.
    head: { origin: 1, incarnation: 1, sequence: 0 },
    positions: [],
    load: 0,
    fileCount: 0,
    uploadPriority: config.uploadPriority,
    version: VERSION,
    epoch: 0,
    gen: null,
    alarms: [],
    scrub: null,
  };
}
