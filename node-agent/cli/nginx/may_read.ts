/**
 * Whether nginx's workers may enter the folders that they are to serve. Where
 * they may not, everything still works, but each download passes through an
 * agent, and nobody is told.
 *
 * @module
 */

import { dirname } from "node:path";

/** Users that nginx's packages make. */
const NGINX_USERS = ["www-data", "nginx", "http"];
/** Others may pass through a folder; its group may. */
const OTHERS_PASS = 0o001;
const GROUP_PASS = 0o010;

/** What is known of this machine. */
export interface MachineView {
  /** Permissions and group of a folder; `undefined` when it is not there. */
  stat(path: string): Promise<
    { readonly mode: number | null; readonly gid: number | null } | undefined
  >;
  /** Lines of /etc/group. */
  readonly groups: readonly string[];
}

/** This machine. */
export async function thisMachine(): Promise<MachineView> {
  const text = await Deno.readTextFile("/etc/group").catch(() => "");
  return {
    stat: (path) => Deno.stat(path).catch(() => undefined),
    groups: text.split("\n"),
  };
}

/**
 * What must be done so that nginx can enter these folders; one line each.
 *
 * @param folders Absolute paths.
 */
export async function readNotes(
  folders: readonly string[],
  machine: MachineView,
): Promise<string[]> {
  const notes = new Set<string>();
  for (const folder of folders) {
    const closed = await firstClosed(folder, machine);
    if (closed !== undefined) notes.add(closed);
  }
  return [...notes];
}

/** What closes a folder, from the root on. */
async function firstClosed(
  folder: string,
  machine: MachineView,
): Promise<string | undefined> {
  for (const path of [...ancestors(folder), folder]) {
    const { mode, gid } = await machine.stat(path) ?? {};
    if (typeof mode !== "number" || (mode & OTHERS_PASS) !== 0) continue;
    const group = groupOf(machine.groups, gid);
    const isOpen = (mode & GROUP_PASS) !== 0;
    if (isOpen && NGINX_USERS.some((user) => group.users.includes(user))) {
      continue;
    }
    const join =
      `usermod -aG ${group.name} www-data && systemctl restart nginx`;
    const mend = gid === 0
      ? "run the agents with a group of their own (systemd: Group=kedge) and put nginx's user into it"
      : isOpen
      ? join
      : `chmod g+x ${path} && ${join}`;
    return `nginx's user may not enter ${path}: downloads then pass through ` +
      `the agent, which is slower. To let it in: ${mend}`;
  }
  return undefined;
}

function ancestors(path: string): string[] {
  const above = dirname(path);
  return above === path ? [] : [...ancestors(above), above];
}

function groupOf(
  lines: readonly string[],
  gid: number | null | undefined,
): { readonly name: string; readonly users: readonly string[] } {
  for (const line of lines) {
    const [name = "", , number, users = ""] = line.split(":");
    if (Number(number) !== gid || number === "") continue;
    return { name, users: [name, ...users.split(",")] };
  }
  return { name: String(gid ?? "?"), users: [] };
}
