/**
 * Alarms that an operator has to decide about: the cause and the next step.
 *
 * @module
 */

import {
  type GroupRegister,
  isInSync,
  type NodeId,
  type StoreId,
} from "@kedge/schema";

/**
 * What to tell when the last node in sync has another database than the group
 * knows: it may not call itself in sync, and there is nobody to copy from.
 *
 * @returns `undefined` when that is not so.
 */
export function lostDatabaseText(
  register: GroupRegister | undefined,
  node: NodeId,
  store: StoreId,
): string | undefined {
  const me = register?.members.find((member) => member.node === node);
  if (register === undefined || me === undefined) return undefined;
  const isLast = isInSync(register, node) && register.insync.length === 1;
  if (!isLast || me.store === store) return undefined;
  return "this node alone was in sync and has lost its database: put that " +
    "back, or accept that files are lost: " +
    `kedge group force ${register.group} ${node} --accept-data-loss`;
}
