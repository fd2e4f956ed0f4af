/**
 * Reads and changes of files: `307` to the agent that should do it.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { CapabilityAction } from "@kedge/schema/capability";
import { chooseReader, chooseWriter } from "../domain/reading.ts";
import type { GroupState } from "../domain/cluster.ts";
import { drainSmall } from "../http/body.ts";
import { type Method, type Route, route } from "../http/route.ts";
import { issueCapability, type Services } from "../services.ts";
import { ID_PATH, idOf, IdParams, type ParsedId } from "./paths.ts";
import { redirect } from "./redirect.ts";

/** A change of an existing file. */
interface Change {
  readonly method: Method;
  /** After the file ID. */
  readonly suffix: string;
  readonly action: CapabilityAction;
  readonly summary: string;
}

const CHANGES: readonly Change[] = [
  {
    method: "DELETE",
    suffix: "",
    action: "delete",
    summary: "Delete a file",
  },
  {
    method: "PUT",
    suffix: "/meta",
    action: "set-meta",
    summary: "Replace the metadata of a file",
  },
  {
    method: "PATCH",
    suffix: "/meta",
    action: "set-meta",
    summary: "Merge metadata into that of a file",
  },
  {
    method: "POST",
    suffix: "/append",
    action: "append",
    summary: "Append to an appender file",
  },
  {
    method: "PUT",
    suffix: "/content",
    action: "modify",
    summary: "Overwrite a part of an appender file (`?offset=N`)",
  },
  {
    method: "POST",
    suffix: "/truncate",
    action: "truncate",
    summary: "Cut or extend an appender file (`?size=N`)",
  },
  {
    method: "POST",
    suffix: "/regenerate",
    action: "modify",
    summary: "Give an appender file the ID of a file that stays as it is",
  },
  {
    method: "POST",
    suffix: "/derived",
    action: "derive",
    summary: "Store a derived file (`?prefix=P&ext=E`)",
  },
];

/** Age below which only its origin surely has a file, in heartbeats. */
const FRESH_HEARTBEATS = 3;

/** Rows about existing files. */
export function fileRoutes(services: Services): Route[] {
  const reads = [
    { path: ID_PATH, prefix: "", suffix: "", summary: "Read a file" },
    {
      path: `/v1/files${ID_PATH}/info`,
      prefix: "/v1/files",
      suffix: "/info",
      summary: "What is known of a file",
    },
    {
      path: `/v1/files${ID_PATH}/meta`,
      prefix: "/v1/files",
      suffix: "/meta",
      summary: "Metadata of a file",
    },
  ];
  return [
    ...reads.map(({ path, prefix, suffix, summary }) =>
      route({
        method: "GET",
        path,
        policy: "public",
        summary,
        params: IdParams,
        answer: { status: 307, description: "Read it from `Location`" },
        handle: async ({ request, params }) => {
          const parsed = idOf(params);
          const base = await readerOf(services, parsed);
          const at = `${prefix}/${parsed.text}${suffix}`;
          return redirect(base, at, { from: request.url });
        },
      })
    ),
    ...CHANGES.map((change) => changeRoute(services, change)),
  ];
}

function changeRoute(services: Services, change: Change): Route {
  return route({
    method: change.method,
    path: `/v1/files${ID_PATH}${change.suffix}`,
    policy: "client",
    summary: change.summary,
    params: IdParams,
    answer: { status: 307, description: "Send the change to `Location`" },
    handle: async ({ request, params }) => {
      const { text, id } = idOf(params);
      const view = await services.cache.current();
      const group = groupOf(view.groups, id.group);
      const chosen = chooseWriter(group, id, change.action !== "delete");
      if (!chosen.ok) throw new Problem("unavailable", chosen.why);
      const capability = issueCapability(services, view, {
        a: change.action,
        g: id.group,
        n: chosen.writer.node,
        f: text,
        s: group.settings.fileBytesMax,
      });
      await drainSmall(request);
      return redirect(
        chosen.writer.url,
        `/v1/files/${text}${change.suffix}`,
        { from: request.url, capability: capability.text },
      );
    },
  });
}

async function readerOf(
  { cache, config, clock, draw }: Services,
  { id }: ParsedId,
): Promise<string> {
  const view = await cache.current();
  const reader = chooseReader(groupOf(view.groups, id.group), id, {
    downloadServer: config.downloadServer,
    nowMs: clock.wallMs(),
    freshMs: FRESH_HEARTBEATS * config.heartbeatMs,
    draw,
  });
  if (reader !== undefined) return reader.url;
  throw new Problem(
    "unavailable",
    `No member of group "${id.group}" has ever reported`,
  );
}

function groupOf(
  groups: ReadonlyMap<string, GroupState>,
  name: string,
): GroupState {
  const group = groups.get(name);
  if (group !== undefined) return group;
  throw new Problem("group-not-found", `There is no group "${name}"`);
}
