/**
 * What FastDFS gateways ask: the cluster, with draws of the placement policy.
 *
 * @module
 */

import { FastdfsView } from "@kedge/schema/fastdfs-view";
import { fastdfsView } from "../domain/fastdfs_view.ts";
import { json, type Route, route } from "../http/route.ts";
import type { Services } from "../services.ts";

/** Rows for FastDFS gateways. */
export function fastdfsRoutes({ cache, config, draw }: Services): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/fastdfs",
      policy: "node",
      summary: "The cluster, for the FastDFS gateway of a node",
      answer: { status: 200, description: "The cluster", schema: FastdfsView },
      handle: async () => {
        const rule = { policy: config, draw, reserve: config.reservedSpace };
        const view = fastdfsView(await cache.current(), rule);
        return json(200, view, { "cache-control": "no-store" });
      },
    }),
  ];
}
