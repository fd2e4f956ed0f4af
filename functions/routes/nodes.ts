/**
 * Nodes: join, report, be managed.
 *
 * @module
 */

import {
  ChangeMode,
  Heartbeat,
  HeartbeatReply,
  JoinBody,
  JoinReply,
  keys,
  NodeList,
  NodeView,
  Problem,
} from "@kedge/schema";
import { z } from "zod";
import { whyNeeded } from "../domain/disks.ts";
import { viewNode } from "../domain/views.ts";
import { json, type Route, route } from "../http/route.ts";
import { issueCapability, type Services } from "../services.ts";
import { heartbeatReply } from "./heartbeat_reply.ts";
import { join } from "./join.ts";
import { NodeParams, StorePathParams } from "./paths.ts";
import { redirect } from "./redirect.ts";
import { saneHeartbeat } from "./sane_heartbeat.ts";

/** Rows about nodes. */
export function nodeRoutes(services: Services): Route[] {
  return [
    joinRoute(services),
    heartbeatRoute(services),
    ...listRoutes(services),
    ...manageRoutes(services),
    ...agentRoutes(services),
  ];
}

function joinRoute(services: Services): Route {
  return route({
    method: "POST",
    path: "/v1/nodes/join",
    policy: "public",
    summary: "Become a member, with a one-time token in the body",
    body: JoinBody,
    answer: {
      status: 201,
      description: "Number and credential, shown once",
      schema: JoinReply,
    },
    handle: async ({ body }) =>
      json(201, await join(services, body), { "cache-control": "no-store" }),
  });
}

function heartbeatRoute(services: Services): Route {
  return route({
    method: "POST",
    path: "/v1/nodes/:node/heartbeat",
    policy: "node",
    summary: "A node reports, and is told what it must know",
    params: NodeParams,
    body: Heartbeat,
    answer: {
      status: 200,
      description: "The group as it is now",
      schema: HeartbeatReply,
    },
    handle: async ({ caller, params, body }) => {
      if (caller.kind !== "node" || caller.node !== params.node) {
        throw new Problem("forbidden", "A node reports only for itself");
      }
      const heartbeat = saneHeartbeat(body);
      const heard = await services.nodes.report(params.node, heartbeat);
      const reply = {
        ...await heartbeatReply(services, heard.record),
        ...(heard.isSetBack ? { isSetBack: true as const } : {}),
      };
      return json(200, reply, { "cache-control": "no-store" });
    },
  });
}

function listRoutes({ cache }: Services): Route[] {
  const all = async () =>
    [...(await cache.current()).groups.values()].flatMap((group) =>
      group.members.map((member) => viewNode(group, member))
    );
  return [
    route({
      method: "GET",
      path: "/v1/nodes",
      policy: "client",
      summary: "All nodes",
      answer: { status: 200, description: "All nodes", schema: NodeList },
      handle: async () => json(200, { nodes: await all() }),
    }),
    route({
      method: "GET",
      path: "/v1/nodes/:node",
      policy: "client",
      summary: "One node",
      params: NodeParams,
      answer: { status: 200, description: "The node", schema: NodeView },
      handle: async ({ params }) => {
        const found = (await all()).find(({ node }) => node === params.node);
        if (found !== undefined) return json(200, found);
        throw new Problem("node-not-found", `There is no node ${params.node}`);
      },
    }),
  ];
}

const Removed = z.object({ node: z.int(), epoch: z.int() });

const MayForce = z.object({
  force: z.literal("1").optional()
    .describe("Also when the node may hold the last good copy of files"),
});

/** @throws {Problem} `still-needed` when nobody else is known to be whole. */
async function mustBeSpare({ cache }: Services, node: number): Promise<void> {
  const { groups } = await cache.current();
  const group = [...groups.values()].find(({ members }) =>
    members.some((member) => member.node === node)
  );
  const why = group && whyNeeded(group, node);
  if (why !== undefined) throw new Problem("still-needed", why);
}

function manageRoutes(services: Services): Route[] {
  const { nodes, registers, cache } = services;
  return [
    route({
      method: "POST",
      path: "/v1/nodes/:node/mode",
      policy: "operator",
      summary: "Drain a node, make it read-only, or active again",
      params: NodeParams,
      query: MayForce,
      body: ChangeMode,
      answer: { status: 200, description: "The mode", schema: ChangeMode },
      handle: async ({ params, query, body }) => {
        const mode = body.mode === "drain" ? "draining" : body.mode;
        if (mode === "draining" && query.force === undefined) {
          await mustBeSpare(services, params.node);
        }
        await nodes.setMode(params.node, mode);
        return json(200, { mode });
      },
    }),
    route({
      method: "DELETE",
      path: "/v1/nodes/:node",
      policy: "operator",
      summary: "Take a node out of its group for good",
      params: NodeParams,
      query: MayForce,
      answer: { status: 200, description: "It is out", schema: Removed },
      handle: async ({ params: { node }, query }) => {
        const { value, version } = await nodes.get(node);
        if (query.force === undefined) await mustBeSpare(services, node);
        const register = await registers.change(
          value.group,
          { kind: "remove", node },
          {
            checks: [{ key: keys.node(node), version }],
            sets: [{ key: keys.removed(node), value: value.group }],
            deletes: [keys.node(node), keys.report(node)],
          },
        );
        cache.drop();
        return json(200, { node, epoch: register.epoch });
      },
    }),
  ];
}

const MIGRATION = "/v1/node/migration";

/** What operators ask of one agent: `307` with a capability `operate`. */
function agentRoutes(services: Services): Route[] {
  const rows = [
    ["POST", "scrub", "/v1/node/scrub", "Start a scrub of a node"],
    ["GET", "scrub", "/v1/node/scrub", "Progress of a node's scrub"],
    ["GET", "files", "/v1/files", "List the files of a node"],
    ["POST", "migration", MIGRATION, "Start an import or export of a node"],
    ["GET", "migration", MIGRATION, "Progress of a node's import or export"],
    ["DELETE", "migration", MIGRATION, "Stop a node's import or export"],
    [
      "POST",
      "confirm",
      "/v1/node/confirm",
      "Let a node accept the KV's new generation",
    ],
  ] as const;
  return rows.map(([method, name, path, summary]) =>
    route({
      method,
      path: `/v1/nodes/:node/${name}`,
      policy: "operator",
      summary,
      params: NodeParams,
      answer: TO_AGENT,
      handle: ({ request, params: { node } }) =>
        toAgent(services, request.url, { node, path }),
    })
  ).concat(openPathRoute(services));
}

const TO_AGENT = { status: 307, description: "Ask the agent at `Location`" };

function openPathRoute(services: Services): Route {
  return route({
    method: "POST",
    path: "/v1/nodes/:node/paths/:index/open",
    policy: "operator",
    summary: "Use a store path of a node again: it was mended or replaced",
    params: StorePathParams,
    answer: TO_AGENT,
    handle: ({ request, params: { node, index } }) =>
      toAgent(services, request.url, {
        node,
        path: `/v1/node/paths/${index}/open`,
      }),
  });
}

/** Send an operator to an agent, with a capability for it alone. */
async function toAgent(
  services: Services,
  from: string,
  { node, path }: { readonly node: number; readonly path: string },
): Promise<Response> {
  const view = await services.cache.current();
  const group = [...view.groups.values()].find(({ register }) =>
    register.members.some((member) => member.node === node)
  );
  const member = group?.members.find((known) => known.node === node);
  if (group === undefined || member === undefined) {
    throw new Problem("node-not-found", `There is no node ${node}`);
  }
  if (member.report === undefined) {
    throw new Problem("unavailable", `Node ${node} has never reported`);
  }
  const capability = issueCapability(services, view, {
    a: "operate",
    g: group.register.group,
    n: node,
  });
  const options = { from, capability: capability.text };
  return redirect(member.report.url, path, options);
}
