/**
 * Addresses of an agent that follow from its settings alone.
 *
 * @module
 */

import type { AgentConfig } from "@kedge/schema/config/agent";
import type { HostPort } from "@kedge/schema/config/units";

/**
 * Where FastDFS's clients will find this node, once its gateway is open.
 *
 * @returns `undefined` without a gateway, or when its port is any free one.
 */
export function plannedAddress({ fastdfs }: AgentConfig): HostPort | undefined {
  if (fastdfs === undefined) return undefined;
  const { advertise, listen } = fastdfs;
  return advertise ?? (listen.port === 0 ? undefined : listen);
}
