/** Node numbers of DRBD 9 for the two sides of a resource. Pure. */

import type { ResourceConfig } from "@kedge/schema/drbd-conf";

/** The numbers of a resource by its name. */
export type NodeIds = (
  resource: string,
) => { readonly own: number; readonly peer: number };

/** From the configuration; 0 and 1 for a resource that it does not have. */
export function nodeIdsOf(configs: readonly ResourceConfig[]): NodeIds {
  return (resource) => {
    const config = configs.find(({ name }) => name === resource);
    return {
      own: config?.self.nodeId ?? 0,
      peer: config?.peers[0]?.nodeId ?? 1,
    };
  };
}
