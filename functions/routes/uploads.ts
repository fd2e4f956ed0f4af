/**
 * Where to upload: `POST /v1/uploads`, and `PUT|POST /v1/files[/NAME]`, which
 * answers the same as a redirect.
 *
 * @module
 */

import {
  FILE_NAME_BYTES_MAX,
  GroupName,
  Level,
  PlacedUpload,
  PlaceUpload,
  Problem,
} from "@kedge/schema";
import { z } from "zod";
import { place, type Placement } from "../domain/placement.ts";
import { drainSmall } from "../http/body.ts";
import { json, type Route, route } from "../http/route.ts";
import { issueCapability, type Services } from "../services.ts";
import type { ClusterView } from "../store/cluster_cache.ts";
import { redirect } from "./redirect.ts";

const UploadQuery = z.object({
  level: Level.optional(),
  group: GroupName.optional(),
});

const NameParams = z.object({ name: z.string() });

/** Rows that place uploads. */
export function uploadRoutes(services: Services): Route[] {
  const redirectUpload = async (
    request: Request,
    query: z.output<typeof UploadQuery>,
    name?: string,
  ) => {
    const view = await services.cache.current();
    const length = Number(request.headers.get("content-length") ?? 0);
    const sizeBytes = length > 0 ? length : undefined;
    const { base, capability } = grant(services, view, {
      ...query,
      sizeBytes,
      key: keyOf(request),
    });
    await drainSmall(request);
    return redirect(base, pathOf(name), {
      from: request.url,
      capability: capability.text,
    });
  };
  const redirected = {
    policy: "client",
    query: UploadQuery,
    answer: { status: 307, description: "Send the file to `Location`" },
  } as const;
  const rows = (["PUT", "POST"] as const).flatMap((method) => [
    route({
      ...redirected,
      method,
      path: "/v1/files",
      summary: "Upload a file: follow the redirect with the body",
      handle: ({ request, query }) => redirectUpload(request, query),
    }),
    route({
      ...redirected,
      method,
      path: "/v1/files/:name",
      params: NameParams,
      summary: "Upload a file with a name: follow the redirect with the body",
      handle: ({ request, query, params }) =>
        redirectUpload(request, query, params.name),
    }),
  ]);
  return [placeRoute(services), ...rows];
}

function placeRoute(services: Services): Route {
  return route({
    method: "POST",
    path: "/v1/uploads",
    policy: "client",
    summary: "Ask where to upload a file",
    body: PlaceUpload,
    answer: {
      status: 201,
      description: "Where to send the bytes",
      schema: PlacedUpload,
    },
    handle: async ({ request, body }) => {
      const view = await services.cache.current();
      const granted = grant(services, view, { ...body, key: keyOf(request) });
      const { text, expiresMs } = granted.capability;
      const more = body.appender === true ? "&appender=1" : "";
      return json(
        201,
        {
          url: `${granted.base}${pathOf(body.name)}?cap=${text}${more}`,
          capability: text,
          group: granted.group,
          node: granted.node,
          expires: new Date(expiresMs).toISOString(),
        } satisfies PlacedUpload,
        { "cache-control": "no-store" },
      );
    },
  });
}

interface Wanted {
  readonly sizeBytes?: number | undefined;
  readonly group?: string | undefined;
  readonly level?: Level | undefined;
  readonly sha256?: string | undefined;
  readonly key?: string | undefined;
}

/** The `Idempotency-Key`; whether it is a valid one is for the agent to say. */
function keyOf({ headers }: Request): string | undefined {
  return headers.get("idempotency-key") ?? undefined;
}

function grant(services: Services, view: ClusterView, wanted: Wanted) {
  const { config: policy, draw } = services;
  const placement = place(view.targets, wanted, { policy, draw });
  if (!placement.ok) throw refusal(placement.why, view, wanted);
  const { group, node, pathIndex } = placement;
  const capability = issueCapability(services, view, {
    a: "upload",
    g: group.group,
    n: node.node,
    p: pathIndex,
    s: wanted.sizeBytes ?? group.settings.fileBytesMax,
    ...(wanted.level === undefined ? {} : { l: wanted.level }),
    ...(wanted.sha256 === undefined ? {} : { h: wanted.sha256 }),
  });
  return { base: node.url, node: node.node, group: group.group, capability };
}

function refusal(
  why: (Placement & { ok: false })["why"],
  view: ClusterView,
  { group, sizeBytes }: Wanted,
): Problem {
  if (group !== undefined && !view.groups.has(group)) {
    return new Problem("group-not-found", `There is no group "${group}"`);
  }
  const where = group === undefined ? "any group" : `group "${group}"`;
  switch (why) {
    case "nobody":
      return new Problem("no-storage", `No node of ${where} takes uploads now`);
    case "no-room":
      return new Problem(
        "insufficient-storage",
        `No node of ${where} has room for ${sizeBytes ?? "more"} bytes`,
      );
    case "too-large":
      return new Problem(
        "too-large",
        `${sizeBytes} bytes are more than ${where} allows for one file`,
      );
  }
}

/**
 * Path of the upload at the agent. The name is data: it is one encoded segment.
 *
 * @throws {Problem} `invalid-request` when it cannot be one.
 */
function pathOf(name: string | undefined): string {
  if (name === undefined || name === "") return "/v1/files";
  if (name === "." || name === "..") {
    throw invalidName(`"${name}" cannot be the name of a file`);
  }
  const encoded = encodeURIComponent(name.toWellFormed());
  if (encoded.length > FILE_NAME_BYTES_MAX) {
    const lengthBytes = new TextEncoder().encode(name).length;
    if (lengthBytes > FILE_NAME_BYTES_MAX) {
      throw invalidName(`has ${lengthBytes} bytes, at most 1024 are kept`);
    }
  }
  return `/v1/files/${encoded}`;
}

function invalidName(message: string): Problem {
  return new Problem("invalid-request", `Name: ${message}`, {
    issues: [{ path: "name", message }],
  });
}
