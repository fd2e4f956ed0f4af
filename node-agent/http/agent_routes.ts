/**
 * The table of routes: the agent's column of `docs/protocols.md`.
 *
 * The content of files (`GET /GROUP/Mxx/…`) is not in it: it is public, and
 * answered before any table is looked at.
 *
 * @module
 */

import type { z } from "zod";
import { Problem } from "@kedge/schema";
import type { CapabilityAction } from "@kedge/schema/capability";
import { MigrationRequest } from "@kedge/schema/migration";
import { json } from "./answers.ts";
import type { AgentHttpDeps } from "./deps.ts";
import { limitsOf } from "./deps.ts";
import { Downloads } from "./read/download.ts";
import { fileInfo, fileList } from "./read/facts.ts";
import { Finder } from "./read/finder.ts";
import { LinkGate } from "./read/link_gate.ts";
import type {
  AllowedCall,
  Call,
  GuardedRoute,
  PublicRoute,
  Route,
} from "./routes.ts";
import { BodyGuard } from "./write/body_guard.ts";
import { Keeper } from "./write/keeper.ts";
import { KeyedLock } from "./write/keyed_lock.ts";
import { Mutations } from "./write/mutations.ts";
import { Operations } from "./write/operations.ts";
import { Owners } from "./write/owners.ts";
import { Receiver } from "./write/receive.ts";
import { Uploads } from "./write/upload.ts";
import type { WriteTools } from "./write/upload.ts";

/** The parts that the door itself uses. */
export interface AgentServices {
  readonly downloads: Downloads;
  /** Judges links; `undefined`: everybody may read. */
  readonly gate: LinkGate | undefined;
  readonly owners: Owners;
  /** The same for doors other than this one. */
  readonly operations: Operations;
  /** Takes files in that keep their IDs. */
  readonly keeper: Keeper;
}

const PUBLIC = { kind: "public" } as const;
const NO_CACHE = { headers: { "cache-control": "no-cache" } };

/**
 * Wire the routes to the ports.
 *
 * @returns The table, and the services of the paths outside it.
 */
export function agentRoutes(
  deps: AgentHttpDeps,
): { rows: Route[]; services: AgentServices } {
  const finder = new Finder(deps);
  const tools = writeTools(deps, finder);
  const downloads = new Downloads(deps.files, finder);
  const services = {
    downloads,
    gate: deps.links && new LinkGate(deps.links, deps),
    owners: new Owners(deps, finder),
    operations: new Operations(deps, tools, downloads),
    keeper: new Keeper(deps, tools),
  };
  const rows = [
    ...readRoutes(deps, finder),
    ...uploadRoutes(deps, tools),
    ...mutationRoutes(deps, tools),
    regenerateRoute(services.operations),
  ];
  return {
    rows: [...rows, ...operatorRoutes(deps), ...migrationRoutes(deps, tools)],
    services,
  };
}

function readRoutes(deps: AgentHttpDeps, finder: Finder): Route[] {
  const entryOf = (call: Call) => finder.findForRead(call.id);
  return [
    open("GET /health", () => json({ ok: true })),
    open("GET /v1/node", async () => json(await deps.admin.status(), NO_CACHE)),
    open("GET /v1/files/ID/info", async (call) => {
      return json(fileInfo(await entryOf(call)), NO_CACHE);
    }),
    open("GET /v1/files/ID/meta", async (call) => {
      return json((await entryOf(call)).meta, NO_CACHE);
    }),
  ];
}

function writeTools(deps: AgentHttpDeps, finder: Finder): WriteTools {
  const limits = limitsOf(deps);
  const { files, replicator } = deps;
  const guard = new BodyGuard(limits, deps.clock);
  return {
    finder,
    receiver: new Receiver({ files, replicator, guard }),
    keys: new KeyedLock(limits.lockWaitersMax),
    files: new KeyedLock(limits.lockWaitersMax),
  };
}

function uploadRoutes(deps: AgentHttpDeps, tools: WriteTools): Route[] {
  const uploads = new Uploads(deps, tools);
  const upload = (call: AllowedCall) => uploads.serve(call);
  const derive = (call: AllowedCall) => uploads.serveDerived(call);
  return [
    guarded("PUT /v1/files", "upload", upload),
    guarded("POST /v1/files", "upload", upload),
    guarded("PUT /v1/files/NAME", "upload", upload),
    guarded("POST /v1/files/NAME", "upload", upload),
    atOwner("POST /v1/files/ID/derived", "derive", derive),
  ];
}

function mutationRoutes(deps: AgentHttpDeps, tools: WriteTools): Route[] {
  const mutations = new Mutations(deps, tools);
  return [
    atOwner("POST /v1/files/ID/append", "append", (call) => {
      return mutations.append(call);
    }),
    atOwner("PUT /v1/files/ID/content", "modify", (call) => {
      return mutations.modify(call);
    }),
    atOwner("POST /v1/files/ID/truncate", "truncate", (call) => {
      return mutations.truncate(call);
    }),
    atOwner("PUT /v1/files/ID/meta", "set-meta", (call) => {
      return mutations.setMeta(call, "overwrite");
    }),
    atOwner("PATCH /v1/files/ID/meta", "set-meta", (call) => {
      return mutations.setMeta(call, "merge");
    }),
    guarded("DELETE /v1/files/ID", "delete", (call) => mutations.remove(call)),
  ];
}

/** An appender file that does not change any more gets a final name. */
function regenerateRoute(operations: Operations): Route {
  return atOwner("POST /v1/files/ID/regenerate", "modify", async ({ id }) => {
    return json(await operations.freezeHere(id), { status: 201 });
  });
}

function operatorRoutes({ files, admin }: AgentHttpDeps): Route[] {
  const { startScrub, scrubProgress, confirm } = admin;
  return [
    guarded("GET /v1/files", "operate", ({ query }) => {
      return json(fileList(files, query), NO_CACHE);
    }),
    guarded("POST /v1/node/scrub", "operate", async () => {
      return json(await startScrub.call(admin), { status: 202 });
    }),
    guarded("GET /v1/node/scrub", "operate", async () => {
      return json(await scrubProgress.call(admin), NO_CACHE);
    }),
    guarded("POST /v1/node/paths/N/open", "operate", async ({ name }) => {
      return json(await admin.openPath(Number(name)));
    }),
    guarded("POST /v1/node/confirm", "operate", async () => {
      return json(await confirm.call(admin));
    }),
  ];
}

/** Import from FastDFS, and export: one at a time. */
function migrationRoutes(
  { admin: { migration } }: AgentHttpDeps,
  { receiver }: WriteTools,
): Route[] {
  return [
    guarded("POST /v1/node/migration", "operate", async ({ request }) => {
      const asked = await receiver.receiveJson(request);
      const given = MigrationRequest.safeParse(asked);
      if (!given.success) throw invalidRequest(given.error);
      return json(await migration.start(given.data), { status: 202 });
    }),
    guarded("GET /v1/node/migration", "operate", ({ query }) => {
      const after = Number(query.get("after") ?? 0);
      const offset = Number.isSafeInteger(after) && after >= 0 ? after : 0;
      return json(migration.view(offset), NO_CACHE);
    }),
    guarded("DELETE /v1/node/migration", "operate", async () => {
      return json(await migration.stop());
    }),
  ];
}

function invalidRequest({ issues }: z.ZodError): Problem {
  return new Problem("invalid-request", "This is no import or export", {
    issues: issues.map(({ path, message }) => ({
      path: path.join("."),
      message,
    })),
  });
}

function open(
  place: `${string} ${string}`,
  handle: PublicRoute["handle"],
): PublicRoute {
  const [method = "", pattern = ""] = place.split(" ");
  return { method, pattern, policy: PUBLIC, handle };
}

function atOwner(
  place: `${string} ${string}`,
  action: CapabilityAction,
  handle: GuardedRoute["handle"],
): GuardedRoute {
  return { ...guarded(place, action, handle), ownerOnly: true };
}

function guarded(
  place: `${string} ${string}`,
  action: CapabilityAction,
  handle: GuardedRoute["handle"],
): GuardedRoute {
  const [method = "", pattern = ""] = place.split(" ");
  return {
    method,
    pattern,
    policy: { kind: "capability", action },
    ownerOnly: false,
    handle,
  };
}
