/**
 * Mirrored volumes: hosts join, read and change registers; operators list and
 * force them.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import {
  ChangeVolumeBody,
  ForceVolume,
  JoinMirrorBody,
  JoinMirrorReply,
  MirrorList,
  ResourceName,
  type VolumeChange,
  VolumeList,
  VolumeNumber,
  VolumeRegister,
} from "@kedge/schema/volume";
import { z } from "zod";
import { type Caller, json, type Route, route } from "../http/route.ts";
import type { Services } from "../services.ts";
import { NodeParams } from "./paths.ts";

const VolumeParams = z.object({
  resource: ResourceName,
  volume: z.string().regex(/^(0|[1-9]\d{0,4})$/).transform(Number)
    .pipe(VolumeNumber),
});

const NO_STORE = { "cache-control": "no-store" };

/** Rows about mirrored volumes. */
export function volumeRoutes(services: Services): Route[] {
  return [
    ...hostRoutes(services),
    listRoute(services),
    forceRoute(services),
    ...registerRoutes(services),
  ];
}

function hostRoutes({ mirrorNodes }: Services): Route[] {
  const join = route({
    method: "POST",
    path: "/v1/mirrors/join",
    policy: "public",
    summary: "Give a mirroring host its number, with a one-time token",
    body: JoinMirrorBody,
    answer: {
      status: 201,
      description: "Number and credential, shown once",
      schema: JoinMirrorReply,
    },
    handle: async ({ body }) =>
      json(201, await mirrorNodes.join(body), NO_STORE),
  });
  const list = route({
    method: "GET",
    path: "/v1/mirrors",
    policy: "operator",
    summary: "All hosts that mirror volumes",
    answer: { status: 200, description: "All of them", schema: MirrorList },
    handle: async () => json(200, { mirrors: await mirrorNodes.list() }),
  });
  const remove = route({
    method: "DELETE",
    path: "/v1/mirrors/:node",
    policy: "operator",
    summary: "End the credential of a host that mirrors volumes",
    params: NodeParams,
    answer: { status: 204, description: "It has ended" },
    handle: async ({ params }) => {
      await mirrorNodes.remove(params.node);
      return new Response(null, { status: 204 });
    },
  });
  return [join, list, remove];
}

function listRoute({ volumes }: Services): Route {
  return route({
    method: "GET",
    path: "/v1/volumes",
    policy: "client",
    summary: "The registers of all mirrored volumes",
    answer: { status: 200, description: "All of them", schema: VolumeList },
    handle: async () => json(200, { volumes: await volumes.list() }, NO_STORE),
  });
}

function forceRoute({ volumes }: Services): Route {
  return route({
    method: "POST",
    path: "/v1/volumes/:resource/:volume/force",
    policy: "operator",
    summary: "Declare one copy good although data may be lost",
    params: VolumeParams,
    body: ForceVolume,
    answer: {
      status: 200,
      description: "The register now",
      schema: VolumeRegister,
    },
    handle: async ({ params, body }) =>
      json(
        200,
        await volumes.force(
          params,
          { kind: "force", ...body },
          crypto.randomUUID(),
        ),
        NO_STORE,
      ),
  });
}

function registerRoutes({ volumes }: Services): Route[] {
  const path = "/v1/volumes/:resource/:volume/register";
  const answer = {
    status: 200,
    description: "The register now",
    schema: VolumeRegister,
  };
  return [
    route({
      method: "GET",
      path,
      policy: "mirror",
      summary: "The register of a volume, read fresh",
      params: VolumeParams,
      answer,
      handle: async ({ params }) =>
        json(200, await volumes.get(params), NO_STORE),
    }),
    route({
      method: "POST",
      path,
      policy: "mirror",
      summary: "Change the register of a volume by compare-and-set",
      params: VolumeParams,
      body: ChangeVolumeBody,
      answer,
      handle: async ({ caller, params, body }) => {
        mustBeOwn(caller, body.change);
        const { change, request } = body;
        const register = change.kind === "force"
          ? await volumes.force(params, change, request)
          : await volumes.changeFrom(params, body);
        return json(200, register, NO_STORE);
      },
    }),
  ];
}

/** A node speaks only for its own copy. */
function mustBeOwn(caller: Caller, change: VolumeChange): void {
  const node = change.kind === "leave" ? change.by : change.member.node;
  if (caller.kind === "node" && caller.node === node) return;
  throw new Problem("forbidden", `This is for node ${node} to ask`);
}
