/**
 * Lists of groups and storages, as monitors ask a tracker for them. Deleting is
 * not done from here: this protocol does not know who asks.
 *
 * @module
 */

import type { FastdfsGroup } from "@kedge/schema/fastdfs-view";
import {
  COMMAND,
  encodeBrief,
  encodeGroupRecord,
  encodeOldGroupRecord,
  encodeOldStorageRecord,
  encodeStorageRecord,
  readGroupAddress,
  readGroupAlone,
  readGroupMember,
  STATUS,
} from "@kedge/schema/wire/fastdfs";
import { isReachable, type Reachable, type Sight } from "./sight.ts";
import {
  type Answerer,
  INVALID,
  NOT_FOUND,
  ok,
  text,
  type TrackerFacts,
} from "./tracker_facts.ts";
import { groupRecord, storageRecord } from "./tracker_records.ts";
import type { Reply } from "./wire_request.ts";

/** The commands with what answers them. */
export function trackerLists(facts: TrackerFacts): [number, Answerer][] {
  return [
    [COMMAND.listOneGroup, (body, sight) => oneGroup(body, sight, facts)],
    [COMMAND.listGroups, (body, sight) => allGroups(body, sight, facts)],
    [COMMAND.listStorages, (body, sight) => storages(body, sight, facts)],
    [COMMAND.serverId, serverId],
    [COMMAND.storageStatus, (body, sight) => brief(body, sight, facts)],
    [COMMAND.deleteStorage, deleteStorage],
    [COMMAND.deleteGroup, deleteGroup],
    // There are no trunk files, so nobody has charge of them.
    [COMMAND.setTrunkServer, () => ({ status: STATUS.unsupported })],
  ];
}

function oneGroup(
  body: Uint8Array,
  sight: Sight,
  facts: TrackerFacts,
): Reply {
  const name = readGroupAlone(body);
  if (name === undefined) return INVALID;
  const group = sight.group(name);
  return group === undefined ? NOT_FOUND : ok(encodeGroup(group, sight, facts));
}

function allGroups(
  body: Uint8Array,
  sight: Sight,
  facts: TrackerFacts,
): Reply {
  if (body.length > 0) return INVALID;
  return ok(
    ...sight.groups.map((group) => encodeGroup(group, sight, facts)),
  );
}

function storages(
  body: Uint8Array,
  sight: Sight,
  facts: TrackerFacts,
): Reply {
  const asked = readGroupMember(body);
  if (asked === undefined) return INVALID;
  const group = sight.group(asked.group);
  const found = membersOf(sight, asked);
  if (group === undefined || found === undefined) return NOT_FOUND;
  return ok(...found.map((member) => {
    const record = storageRecord(member, group, facts);
    return facts.lists === "5"
      ? encodeOldStorageRecord(record)
      : encodeStorageRecord(record, sight.ipBytes);
  }));
}

/** Reachable members of a group, or the one with an ID or address. */
function membersOf(
  sight: Sight,
  { group, id }: { readonly group: string; readonly id: string },
): Reachable[] | undefined {
  const members = sight.group(group)?.nodes.filter(isReachable);
  if (members === undefined || id === "") return members;
  const found = members.filter(({ node, address }) =>
    String(node) === id || address.hostname === id
  );
  return found.length > 0 ? found : undefined;
}

function serverId(body: Uint8Array, sight: Sight): Reply {
  const asked = readGroupAddress(body);
  if (asked === undefined) return INVALID;
  const [member] = membersOf(sight, { ...asked, id: asked.ip }) ?? [];
  return member === undefined ? NOT_FOUND : text(String(member.node));
}

function brief(body: Uint8Array, sight: Sight, facts: TrackerFacts): Reply {
  const asked = readGroupAddress(body);
  if (asked === undefined) return INVALID;
  const group = sight.group(asked.group);
  const [member] = membersOf(sight, { ...asked, id: asked.ip }) ?? [];
  return group === undefined || member === undefined
    ? NOT_FOUND
    : ok(encodeBrief(storageRecord(member, group, facts)));
}

function deleteStorage(body: Uint8Array, sight: Sight): Reply {
  const asked = readGroupMember(body);
  if (asked === undefined || asked.id === "") return INVALID;
  const [member] = membersOf(sight, asked) ?? [];
  if (member === undefined) return NOT_FOUND;
  // An operator with a key removes nodes: nobody is known here.
  return { status: member.alive ? STATUS.busy : STATUS.notPermitted };
}

function deleteGroup(body: Uint8Array, sight: Sight): Reply {
  const name = readGroupAlone(body);
  if (name === undefined) return INVALID;
  const group = sight.group(name);
  if (group === undefined) return NOT_FOUND;
  const isAlive = group.nodes.some(({ alive }) => alive);
  return { status: isAlive ? STATUS.busy : STATUS.notPermitted };
}

function encodeGroup(
  group: FastdfsGroup,
  sight: Sight,
  facts: TrackerFacts,
): Uint8Array {
  const record = groupRecord(group, sight, facts);
  return facts.lists === "5"
    ? encodeOldGroupRecord(record)
    : encodeGroupRecord(record);
}
