/**
 * What people are told of a volume register that says no: the cause and the
 * next step.
 *
 * @module
 */

import { insyncWords, type VolumeRegister } from "@kedge/schema/volume";
import type { RegisterIdentity, RegisterOf } from "../register_ports.ts";

/** A volume as people name it: `mysql/0`. */
export function nameOf({ resource, volume }: RegisterOf): string {
  return `${resource}/${volume}`;
}

/** The KV has no register. */
export function noRegister(of: RegisterOf, epoch: number): string {
  const { resource } = of;
  return epoch === 0
    ? `The KV has no register of ${nameOf(of)} yet: run "drbdadm primary ` +
      `--force ${resource}" once, on the node whose data counts`
    : `The register of ${nameOf(of)} is gone from the KV; this disk knows ` +
      `epoch ${epoch}. Roles stay as they are. Restore the KV, or run ` +
      `"drbdadm primary --force ${resource}" on the node whose data counts`;
}

/** The register is older than what this node knows. */
export function wentBack(register: VolumeRegister, epoch: number): string {
  return `The register of ${nameOf(register)} went back: it is at epoch ` +
    `${register.epoch}, this node knows ${epoch}. The KV was restored or made ` +
    `anew. Roles stay as they are. In sync by the old register: ` +
    `${insyncWords(register)}. Find the node with the newest data and run ` +
    `"drbdadm primary --force ${register.resource}" there`;
}

/** How a Primary whose register is not the known one goes on. */
export function confirmHint({ resource }: RegisterOf, epoch: number): string {
  return `This node is Primary since epoch ${epoch}: to let it go on alone, ` +
    `run "drbdadm primary --force ${resource}" here`;
}

/** Another copy is the good one. */
export function notInSync(
  of: RegisterOf,
  register: VolumeRegister,
  { node, name }: RegisterIdentity,
): string {
  return `Node ${node} "${name}" may not be Primary of ${
    nameOf(of)
  }: in sync ` +
    `by the register (epoch ${register.epoch}): ${insyncWords(register)}. ` +
    `Bring that node up and connect to it; or, losing what only it has, run ` +
    `"drbdadm primary --force ${of.resource}" here`;
}
