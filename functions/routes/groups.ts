/**
 * Groups: create, list, settings, and the register that agents change.
 *
 * @module
 */

import {
  ChangeRegisterBody,
  ChangeSettings,
  CreateGroup,
  GroupList,
  GroupRegister,
  GroupSettings,
  GroupView,
  keys,
  NodeId,
  Problem,
  type RegisterChange,
} from "@kedge/schema";
import { z } from "zod";
import { viewGroup } from "../domain/views.ts";
import { type Caller, json, type Route, route } from "../http/route.ts";
import type { Services } from "../services.ts";
import { GroupParams } from "./paths.ts";

/** Rows about groups. */
export function groupRoutes(services: Services): Route[] {
  return [
    ...listRoutes(services),
    createRoute(services),
    settingsRoute(services),
    forceRoute(services),
    ...registerRoutes(services),
  ];
}

async function viewOf(services: Services, name: string): Promise<GroupView> {
  const group = (await services.cache.current()).groups.get(name);
  if (group !== undefined) {
    return viewGroup(group, services.config.reservedSpace);
  }
  throw new Problem("group-not-found", `There is no group "${name}"`);
}

function listRoutes(services: Services): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/groups",
      policy: "client",
      summary: "All groups",
      answer: { status: 200, description: "All groups", schema: GroupList },
      handle: async () => {
        const { groups } = await services.cache.current();
        const { reservedSpace } = services.config;
        return json(200, {
          groups: [...groups.values()]
            .map((group) => viewGroup(group, reservedSpace)),
        });
      },
    }),
    route({
      method: "GET",
      path: "/v1/groups/:group",
      policy: "client",
      summary: "One group",
      params: GroupParams,
      answer: { status: 200, description: "The group", schema: GroupView },
      handle: async ({ params }) =>
        json(200, await viewOf(services, params.group)),
    }),
  ];
}

function createRoute(services: Services): Route {
  const { registers, cluster, cache } = services;
  return route({
    method: "POST",
    path: "/v1/groups",
    policy: "operator",
    summary: "Make a group",
    body: CreateGroup,
    answer: { status: 201, description: "The group", schema: GroupView },
    handle: async ({ body: { name, settings } }) => {
      await registers.create(name, cluster.gen, [
        { key: keys.settings(name), value: settings },
      ]);
      cache.drop();
      return json(201, await viewOf(services, name));
    },
  });
}

function settingsRoute(services: Services): Route {
  const { nodes, registers } = services;
  return route({
    method: "PATCH",
    path: "/v1/groups/:group",
    policy: "operator",
    summary: "Change the settings of a group",
    params: GroupParams,
    body: ChangeSettings,
    answer: {
      status: 200,
      description: "The settings now",
      schema: GroupSettings,
    },
    handle: async ({ params: { group }, body }) => {
      await registers.get(group);
      const settings = await nodes
        .changeSettings(group, (known) => changed(known, body));
      return json(200, settings);
    },
  });
}

/** What is missing stays; `null` leaves packing to each agent. */
function changed(
  { smallFileMax: known, ...before }: GroupSettings,
  { level, fileBytesMax, smallFileMax = known }: ChangeSettings,
): GroupSettings {
  return {
    level: level ?? before.level,
    fileBytesMax: fileBytesMax ?? before.fileBytesMax,
    ...(typeof smallFileMax === "number" ? { smallFileMax } : {}),
  };
}

function forceRoute({ registers, cache }: Services): Route {
  return route({
    method: "POST",
    path: "/v1/groups/:group/force",
    policy: "operator",
    summary: "Declare a node in sync although data may be lost",
    params: GroupParams,
    body: z.strictObject({ node: NodeId }),
    answer: {
      status: 200,
      description: "The register now",
      schema: GroupRegister,
    },
    handle: async ({ params, body: { node } }) => {
      const heard = (await cache.current()).groups.get(params.group);
      const reports = heard?.members.flatMap(({ report }) => report ?? []) ??
        [];
      const forced = heard?.members.find((member) => member.node === node);
      // A node that lost its database is taken with the one it has now.
      const store = forced?.report?.store;
      const register = await registers.change(params.group, {
        kind: "force",
        node,
        // Also right after a restore from a copy that is very old.
        above: Math.max(0, ...reports.map(({ epoch }) => epoch)),
        ...(store === undefined ? {} : { store }),
      });
      cache.drop();
      return json(200, register);
    },
  });
}

function registerRoutes(services: Services): Route[] {
  const { registers, cache } = services;
  const path = "/v1/groups/:group/register";
  const answer = {
    status: 200,
    description: "The register now",
    schema: GroupRegister,
  };
  return [
    route({
      method: "GET",
      path,
      policy: "node",
      summary: "The register of one's own group, read fresh",
      params: GroupParams,
      answer,
      handle: async ({ caller, params: { group } }) => {
        await mustBelong(services, caller, group);
        return json(200, (await registers.get(group)).value, NO_STORE);
      },
    }),
    route({
      method: "POST",
      path,
      policy: "node",
      summary: "Change the register by compare-and-set",
      params: GroupParams,
      body: ChangeRegisterBody,
      answer,
      handle: async ({ caller, params: { group }, body }) => {
        const node = await mustBelong(services, caller, group);
        mustConcern(node, body.change);
        const register = await registers.changeFrom(group, body, body.change);
        cache.drop();
        return json(200, register, NO_STORE);
      },
    }),
  ];
}

const NO_STORE = { "cache-control": "no-store" };

/** A node sees and changes the register of its own group only. */
async function mustBelong(
  { nodes }: Services,
  caller: Caller,
  group: string,
): Promise<number> {
  if (caller.kind === "node") {
    const { value } = await nodes.get(caller.node);
    if (value.group === group) return caller.node;
  }
  throw new Problem("forbidden", `This node is not in group "${group}"`);
}

/**
 * What an agent may ask for: to go on without another, to make promises void,
 * to be put in, to come back with another database. Members are added by join
 * and removed or forced by operators.
 */
function mustConcern(node: number, change: RegisterChange): void {
  switch (change.kind) {
    case "shrink":
    case "renew":
      if (change.by === node) return;
      break;
    case "grow":
    case "reset":
      if (change.node === node) return;
  }
  throw new Problem(
    "forbidden",
    `Node ${node} may not ask for "${change.kind}" in this form`,
  );
}
