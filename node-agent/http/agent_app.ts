/**
 * The agent's HTTP door: one `fetch` over the ports.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { FileKeeper, FileOperations } from "../operation_ports.ts";
import { answerTo } from "./answers.ts";
import { authorize, capabilityText, isForOther } from "./authorize.ts";
import type { AgentHttpDeps } from "./deps.ts";
import { peerUrl } from "./elsewhere.ts";
import { type Caller, UNKNOWN_CALLER } from "./read/link_gate.ts";
import { agentRoutes } from "./agent_routes.ts";
import type { AgentServices } from "./agent_routes.ts";
import { isPublic, notAllowed, RouteTable } from "./routes.ts";
import type { Call, GuardedRoute, Route } from "./routes.ts";
import { isFileLike, isFilePath, resourceOf, targetOf } from "./target.ts";
import type { Resource, Target } from "./target.ts";

/** The door, to be given to a server. */
export interface AgentApp {
  /** Answer a request. Never throws, never rejects. */
  fetch(request: Request, caller?: Caller): Response | Promise<Response>;
  /** Requests whose answer has not begun. For the heartbeat. */
  load(): number;
  /** The same operations for doors other than this one. */
  readonly operations: FileOperations;
  /** Takes files in that keep their IDs. */
  readonly keeper: FileKeeper;
  /** Every route with its policy, for documents and tests. */
  readonly routes: readonly Route[];
}

/**
 * Build the door.
 *
 * @param deps The ports.
 * @throws {TypeError} When a route has no policy.
 */
export function createAgentApp(deps: AgentHttpDeps): AgentApp {
  const { rows, services } = agentRoutes(deps);
  const door = new Door(deps, new RouteTable(rows), services);
  return {
    fetch: (request, caller = UNKNOWN_CALLER) => door.fetch(request, caller),
    load: () => door.load,
    operations: services.operations,
    keeper: services.keeper,
    routes: rows,
  };
}

/** To the peer that has the file; nobody may remember that. */
function sendOn(location: string): Response {
  const headers = {
    location,
    "cache-control": "no-store",
    "access-control-allow-origin": "*",
  };
  return new Response(null, { status: 307, headers });
}

const PREFLIGHT = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "*, Authorization",
  "access-control-max-age": "86400",
};

class Door {
  readonly #deps: AgentHttpDeps;
  readonly #table: RouteTable;
  readonly #services: AgentServices;
  /** Requests whose answer has not begun. */
  load = 0;

  constructor(
    deps: AgentHttpDeps,
    table: RouteTable,
    services: AgentServices,
  ) {
    this.#deps = deps;
    this.#table = table;
    this.#services = services;
  }

  async fetch(request: Request, caller: Caller): Promise<Response> {
    this.load++;
    const target = targetOf(request.url);
    try {
      // The hot path first: no table, no copies.
      if (isFilePath(target.path)) {
        return await this.#content(request, target, caller);
      }
      return await this.#dispatch(request, target, caller);
    } catch (error) {
      const url = peerUrl(error, request.method, target);
      return url === undefined ? answerTo(error, this.#deps.log) : sendOn(url);
    } finally {
      this.load--;
    }
  }

  async #content(
    request: Request,
    { path, query }: Target,
    caller: Caller,
  ): Promise<Response> {
    const { method } = request;
    if (method === "GET" || method === "HEAD") {
      const id = path.slice(1);
      const { downloads, gate } = this.#services;
      const keepS = gate?.check(request, { id, query, caller });
      const isProxied = gate?.maySendFiles(request, caller);
      const terms = { keepS, isProxied, caller };
      return await downloads.serve(request, id, query, terms);
    }
    if (method === "OPTIONS") return preflight(["GET", "HEAD"]);
    throw notAllowed(["GET"]);
  }

  async #dispatch(
    request: Request,
    target: Target,
    caller: Caller,
  ): Promise<Response> {
    const { path, query } = target;
    const resource = resourceOf(path);
    if (request.method === "OPTIONS") {
      const methods = this.#table.methods(resource.pattern);
      if (methods.length > 0) return preflight(methods);
    }
    if (isMisspelt(resource, path)) {
      throw new Problem("invalid-file-id", "The path is not a file ID");
    }
    const route = this.#table.find(request.method, resource.pattern);
    const call: Call = {
      ...resource,
      request,
      path,
      rawQuery: query,
      query: new URLSearchParams(query),
    };
    if (isPublic(route)) {
      const { id } = call;
      if (id !== "") this.#services.gate?.check(request, { id, query, caller });
      return await route.handle(call);
    }
    return await this.#guarded(route, call);
  }

  async #guarded(route: GuardedRoute, call: Call): Promise<Response> {
    const { replicator, clock, group } = this.#deps;
    const text = capabilityText(
      call.request.headers.get("authorization"),
      call.rawQuery,
    );
    const claims = authorize(
      text,
      { action: route.policy.action, group, id: call.id },
      { keys: replicator.signingKeys(), nowMs: clock.wallMs() },
    );
    if (route.ownerOnly) {
      const owned = { ...call, capability: text ?? "" };
      const elsewhere = await this.#services.owners.redirect(owned, claims);
      if (elsewhere !== undefined) return elsewhere;
    } else if (isForOther(claims, this.#deps.node)) {
      throw this.#services.owners.wrongNode(claims.n);
    }
    return await route.handle({ ...call, claims });
  }
}

/** Whether a file is meant but its ID is none; nothing is looked up then. */
function isMisspelt({ pattern, id }: Resource, path: string): boolean {
  if (id !== "") return !isFilePath(`/${id}`);
  return pattern === path && isFileLike(path);
}

function preflight(methods: readonly string[]): Response {
  const allow = methods.join(", ");
  return new Response(null, {
    status: 204,
    headers: {
      ...PREFLIGHT,
      allow,
      "access-control-allow-methods": allow,
    },
  });
}
